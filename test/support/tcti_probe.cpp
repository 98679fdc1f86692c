// A TCTI in front of another one that writes down what passes: tests load it by its path to count the
// commands of a TPM and to look at the bytes of its bus.
//
//     /path/tcti-probe.so:log=FILE,record=FILE,next=CONF
//
// `next` is the TCTI that does the work, any string of the TCTI loader; it comes last and takes the rest.
// `log` gets one line for each command, "TPM2_Sign 0x00000000": its name of TPM 2.0 part 2, 6.5.2 and the
// response code (or the code of the TCTI that failed). `record` gets the raw bytes, command then response.
// Several processes may name the same files: each entry is one write at the end.

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

namespace {

constexpr std::uint64_t magic = 0x7373682d74706d21; // "ssh-tpm!"

constexpr auto command_names = std::to_array<std::pair<TPM2_CC, std::string_view>>({
    {TPM2_CC_Clear, "TPM2_Clear"},
    {TPM2_CC_ContextLoad, "TPM2_ContextLoad"},
    {TPM2_CC_ContextSave, "TPM2_ContextSave"},
    {TPM2_CC_Create, "TPM2_Create"},
    {TPM2_CC_CreateLoaded, "TPM2_CreateLoaded"},
    {TPM2_CC_CreatePrimary, "TPM2_CreatePrimary"},
    {TPM2_CC_DictionaryAttackLockReset, "TPM2_DictionaryAttackLockReset"},
    {TPM2_CC_DictionaryAttackParameters, "TPM2_DictionaryAttackParameters"},
    {TPM2_CC_EvictControl, "TPM2_EvictControl"},
    {TPM2_CC_FlushContext, "TPM2_FlushContext"},
    {TPM2_CC_GetCapability, "TPM2_GetCapability"},
    {TPM2_CC_GetRandom, "TPM2_GetRandom"},
    {TPM2_CC_Hash, "TPM2_Hash"},
    {TPM2_CC_HierarchyChangeAuth, "TPM2_HierarchyChangeAuth"},
    {TPM2_CC_Import, "TPM2_Import"},
    {TPM2_CC_Load, "TPM2_Load"},
    {TPM2_CC_LoadExternal, "TPM2_LoadExternal"},
    {TPM2_CC_ObjectChangeAuth, "TPM2_ObjectChangeAuth"},
    {TPM2_CC_RSA_Decrypt, "TPM2_RSA_Decrypt"},
    {TPM2_CC_ReadPublic, "TPM2_ReadPublic"},
    {TPM2_CC_SelfTest, "TPM2_SelfTest"},
    {TPM2_CC_Shutdown, "TPM2_Shutdown"},
    {TPM2_CC_Sign, "TPM2_Sign"},
    {TPM2_CC_StartAuthSession, "TPM2_StartAuthSession"},
    {TPM2_CC_Startup, "TPM2_Startup"},
    {TPM2_CC_TestParms, "TPM2_TestParms"},
    {TPM2_CC_Unseal, "TPM2_Unseal"},
    {TPM2_CC_VerifySignature, "TPM2_VerifySignature"},
});

using Buffer = std::vector<std::uint8_t>;

std::string hex_code(std::uint32_t code) {
    std::array<char, 11> text{};
    std::snprintf(text.data(), text.size(), "0x%08x", code);
    return text.data();
}

/// The third field of a command's or response's header: tag u16, size u32, code u32 (part 1, 18).
std::optional<std::uint32_t> header_code(const Buffer& message) {
    if (message.size() < 10)
        return std::nullopt;
    std::uint32_t code = 0;
    for (std::size_t i = 6; i < 10; ++i)
        code = code << 8 | message[i];
    return code;
}

std::string command_name(const Buffer& command) {
    const std::optional<std::uint32_t> code = header_code(command);
    if (!code)
        return "short-command";
    for (const auto& [known, name] : command_names)
        if (known == *code)
            return std::string(name);
    return hex_code(*code);
}

/// One command and what came of it.
struct Exchange {
    Buffer command;
    Buffer response; ///< empty when `rc`, of the TCTI, is a failure
    TSS2_RC rc = TSS2_RC_SUCCESS;
};

/// What the probe does with the exchanges that pass; one for each option of the conf string.
class Rule {
  public:
    Rule() = default;
    Rule(const Rule&) = delete;
    Rule& operator=(const Rule&) = delete;
    virtual ~Rule() = default;
    virtual void finished(const Exchange& exchange) = 0;
};

class AppendedFile {
  public:
    explicit AppendedFile(const std::string& path)
        : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
    AppendedFile(const AppendedFile&) = delete;
    AppendedFile& operator=(const AppendedFile&) = delete;
    ~AppendedFile() {
        if (fd_ >= 0)
            close(fd_);
    }
    bool is_open() const { return fd_ >= 0; }
    /// A test that finds a line missing fails by itself, so a failed write needs no report.
    void append(const void* data, std::size_t size) {
        [[maybe_unused]] const ssize_t n = write(fd_, data, size);
    }

  private:
    int fd_;
};

class LogRule final : public Rule {
  public:
    explicit LogRule(const std::string& path) : file_(path) {}
    bool usable() const { return file_.is_open(); }
    void finished(const Exchange& exchange) override {
        const std::string line = command_name(exchange.command) + ' ' +
                                 hex_code(header_code(exchange.response).value_or(exchange.rc)) + '\n';
        file_.append(line.data(), line.size());
    }

  private:
    AppendedFile file_;
};

class RecordRule final : public Rule {
  public:
    explicit RecordRule(const std::string& path) : file_(path) {}
    bool usable() const { return file_.is_open(); }
    void finished(const Exchange& exchange) override {
        Buffer both = exchange.command;
        both.insert(both.end(), exchange.response.begin(), exchange.response.end());
        file_.append(both.data(), both.size());
    }

  private:
    AppendedFile file_;
};

struct Probe {
    Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { Tss2_TctiLdr_Finalize(&next); }

    /// Tells the rules about the exchange under way and begins anew.
    void finish(TSS2_RC rc, Buffer response) {
        exchange.rc = rc;
        exchange.response = std::move(response);
        for (const std::unique_ptr<Rule>& rule : rules)
            rule->finished(exchange);
        exchange = {};
    }

    TSS2_TCTI_CONTEXT* next = nullptr;
    std::vector<std::unique_ptr<Rule>> rules;
    Exchange exchange;
};

/// What the loader allocates for us and tpm2-tss calls through.
struct Context {
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    Probe* probe;
};

Context& context_of(TSS2_TCTI_CONTEXT* tcti) {
    void* memory = tcti;
    return *static_cast<Context*>(memory);
}
TSS2_TCTI_CONTEXT* next_of(TSS2_TCTI_CONTEXT* tcti) {
    return context_of(tcti).probe->next;
}

TSS2_RC transmit(TSS2_TCTI_CONTEXT* tcti, size_t size, const std::uint8_t* command) {
    Probe& probe = *context_of(tcti).probe;
    probe.exchange.command.assign(command, command + size);
    const TSS2_RC rc = Tss2_Tcti_Transmit(probe.next, size, command);
    if (rc != TSS2_RC_SUCCESS)
        probe.finish(rc, {});
    return rc;
}

TSS2_RC receive(TSS2_TCTI_CONTEXT* tcti, size_t* size, std::uint8_t* response, std::int32_t timeout) {
    Probe& probe = *context_of(tcti).probe;
    const TSS2_RC rc = Tss2_Tcti_Receive(probe.next, size, response, timeout);
    if (rc == TSS2_TCTI_RC_TRY_AGAIN || rc == TSS2_TCTI_RC_INSUFFICIENT_BUFFER)
        return rc; // the caller comes again
    if (rc != TSS2_RC_SUCCESS)
        probe.finish(rc, {});
    else if (response != nullptr) // without, only the size was asked for
        probe.finish(rc, Buffer(response, response + *size));
    return rc;
}

void finalize(TSS2_TCTI_CONTEXT* tcti) {
    Context& context = context_of(tcti);
    delete context.probe;
    context.probe = nullptr;
}

TSS2_RC cancel(TSS2_TCTI_CONTEXT* tcti) {
    return Tss2_Tcti_Cancel(next_of(tcti));
}
TSS2_RC poll_handles(TSS2_TCTI_CONTEXT* tcti, TSS2_TCTI_POLL_HANDLE* handles, size_t* count) {
    return Tss2_Tcti_GetPollHandles(next_of(tcti), handles, count);
}
TSS2_RC set_locality(TSS2_TCTI_CONTEXT* tcti, std::uint8_t locality) {
    return Tss2_Tcti_SetLocality(next_of(tcti), locality);
}
TSS2_RC make_sticky(TSS2_TCTI_CONTEXT* tcti, TPM2_HANDLE* handle, std::uint8_t sticky) {
    return Tss2_Tcti_MakeSticky(next_of(tcti), handle, sticky);
}

template <class R>
bool add_rule(Probe& probe, const std::string& value) {
    auto rule = std::make_unique<R>(value);
    const bool usable = rule->usable();
    probe.rules.push_back(std::move(rule));
    return usable;
}

bool add_option(Probe& probe, std::string_view name, const std::string& value) {
    if (name == "log")
        return add_rule<LogRule>(probe, value);
    if (name == "record")
        return add_rule<RecordRule>(probe, value);
    return false;
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
    const TSS2_RC rc = Tss2_TctiLdr_Initialize(next_conf.c_str(), &probe->next);
    if (rc != TSS2_RC_SUCCESS)
        return rc;

    Context& context = context_of(tcti);
    context.common.v1 = {magic, 2, transmit, receive, finalize, cancel, poll_handles, set_locality};
    context.common.makeSticky = make_sticky;
    context.probe = probe.release();
    return TSS2_RC_SUCCESS;
}

constexpr TSS2_TCTI_INFO info = {2, "tcti-probe", "writes down what passes to another TCTI",
                                 "log=FILE,record=FILE,next=CONF", initialize};

} // namespace

extern "C" __attribute__((visibility("default"))) const TSS2_TCTI_INFO* Tss2_Tcti_Info();

const TSS2_TCTI_INFO* Tss2_Tcti_Info() {
    return &info;
}
