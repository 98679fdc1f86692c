// SPDX-License-Identifier: MIT
// A TCTI in front of another one that writes down what passes, and makes it go wrong: tests load it by its
// path to count the commands of a TPM, to look at the bytes of its bus, and to give it bad days.
//
//     /path/tcti-probe.so:log=FILE,record=FILE,faults=FILE,lacks=HASH,next=CONF
//
// `next` is the TCTI that does the work, any string of the TCTI loader; it comes last and takes the rest.
// `log` gets one line for each command, "TPM2_Sign 0x00000000": its name of TPM 2.0 part 2, 6.5.2 and the
// response code (or the code of the TCTI that failed, or "short-reply"). `record` gets the raw bytes, command
// then response. Both hold what the program got, faults included. `faults` is read again whenever it changes:
// tcti_probe_faults.hpp says what may stand in it. Several processes may name the same files. `lacks`, which
// may come more than once, makes the TPM one without this hash, the number of a TPM2_ALG: it is missing in
// TPM_CAP_ALGS, and TPM2_Sign refuses it.

#include "tcti_probe_exchange.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>

namespace probe {

namespace {

constexpr std::uint64_t magic = 0x7373682d74706d21; // "ssh-tpm!"

/// What the loader allocates for us and tpm2-tss calls through.
struct Context {
    TSS2_TCTI_CONTEXT_COMMON_V1 common;
    Probe* probe;
};

Context& context_of(TSS2_TCTI_CONTEXT* tcti) {
    void* memory = tcti;
    return *static_cast<Context*>(memory);
}

TSS2_RC transmit(TSS2_TCTI_CONTEXT* tcti, size_t size, const std::uint8_t* command) {
    return context_of(tcti).probe->transmit(Buffer(command, command + size));
}

TSS2_RC receive(TSS2_TCTI_CONTEXT* tcti, size_t* size, std::uint8_t* response, std::int32_t timeout) {
    return context_of(tcti).probe->receive(size, response, timeout);
}

TSS2_RC poll_handles(TSS2_TCTI_CONTEXT* tcti, TSS2_TCTI_POLL_HANDLE* handles, size_t* count) {
    return context_of(tcti).probe->poll_handles(handles, count);
}

void finalize(TSS2_TCTI_CONTEXT* tcti) {
    Context& context = context_of(tcti);
    delete context.probe;
    context.probe = nullptr;
}

bool add_option(Probe& probe, std::string_view name, const std::string& value) {
    if (name == "folder") // of the files below: the agent's sandbox allows what the string names
        return true;
    if (name == "log")
        return probe.log.emplace(value).is_open();
    if (name == "record")
        return probe.record.emplace(value).is_open();
    if (name == "lacks") {
        probe.missing_hashes.push_back(static_cast<std::uint16_t>(std::stoul(value, nullptr, 0)));
        return true;
    }
    if (name != "faults")
        return false;
    probe.faults.emplace(value);
    return true;
}

/// The probe that a conf string describes; null when it is not understood or a file cannot be opened.
/// `next_conf` is left for the caller to connect.
std::unique_ptr<Probe> parse(std::string_view conf, std::string& next_conf) {
    auto probe = std::make_unique<Probe>();
    while (!conf.starts_with("next=")) {
        const std::size_t equals = conf.find('=');
        const std::size_t comma = conf.find(',');
        if (equals == conf.npos || comma == conf.npos || comma < equals)
            return nullptr;
        if (!add_option(*probe, conf.substr(0, equals),
                        std::string(conf.substr(equals + 1, comma - equals - 1))))
            return nullptr;
        conf.remove_prefix(comma + 1);
    }
    next_conf = conf.substr(std::strlen("next="));
    return probe;
}

/// TCTI specification 3.3: called without a context it says how much memory it wants.
TSS2_RC initialize(TSS2_TCTI_CONTEXT* tcti, size_t* size, const char* conf) {
    if (size == nullptr)
        return TSS2_TCTI_RC_BAD_VALUE;
    if (tcti == nullptr) {
        *size = sizeof(Context);
        return TSS2_RC_SUCCESS;
    }
    std::string next_conf;
    std::unique_ptr<Probe> probe = parse(conf == nullptr ? "" : conf, next_conf);
    if (probe == nullptr)
        return TSS2_TCTI_RC_BAD_VALUE;
    TSS2_TCTI_CONTEXT* next = nullptr;
    const TSS2_RC rc = Tss2_TctiLdr_Initialize(next_conf.c_str(), &next);
    if (rc != TSS2_RC_SUCCESS) {
        std::free(next); // as src/tpm/transport.cpp does
        return rc;
    }
    probe->next = next;

    Context& context = context_of(tcti);
    // Nobody cancels, or chooses a locality: a null pointer says "not implemented".
    context.common = {magic, 1, transmit, receive, finalize, nullptr, poll_handles, nullptr};
    context.probe = probe.release();
    return TSS2_RC_SUCCESS;
}

constexpr TSS2_TCTI_INFO info = {2, "tcti-probe", "writes down what passes to another TCTI, and spoils it",
                                 "log=FILE,record=FILE,faults=FILE,lacks=HASH,next=CONF", initialize};

} // namespace

} // namespace probe

extern "C" __attribute__((visibility("default"))) const TSS2_TCTI_INFO* Tss2_Tcti_Info();

const TSS2_TCTI_INFO* Tss2_Tcti_Info() {
    return &probe::info;
}
