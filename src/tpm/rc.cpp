#include "tpm/rc.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

namespace {

struct Cause {
    TSS2_RC code;
    Errc errc;
    std::string_view message;
    std::string_view hint;
};

constexpr std::array causes{
    Cause{TPM2_RC_AUTH_FAIL, Errc::auth, "the PIN is wrong", ""},
    Cause{TPM2_RC_BAD_AUTH, Errc::auth, "the password is wrong", "-o asks for the owner password"},
    Cause{TPM2_RC_LOCKOUT, Errc::lockout, "the TPM is in dictionary-attack lockout",
          "wait for the TPM to recover; tpm2_getcap properties-variable shows TPM2_PT_LOCKOUT_INTERVAL, the "
          "seconds for each failed try"},
    Cause{TPM2_RC_INTEGRITY, Errc::foreign_key,
          "this key belongs to another TPM, or the TPM was cleared since it was made",
          "make a new key here and replace the public key where this one was authorized"},
    Cause{TPM2_RC_OBJECT_MEMORY, Errc::tpm, "the TPM has no room for another key",
          "another program holds the TPM's slots; use /dev/tpmrm0, or tpm2_flushcontext -t"},
    Cause{TPM2_RC_SESSION_MEMORY, Errc::tpm, "the TPM has no room for another session",
          "another program holds the TPM's sessions; use /dev/tpmrm0, or tpm2_flushcontext -s"},
    Cause{TPM2_RC_SESSION_HANDLES, Errc::tpm, "the TPM has no session handle left",
          "tpm2_flushcontext -s frees those that a program has left behind"},
    Cause{TPM2_RC_HIERARCHY, Errc::tpm, "this hierarchy of the TPM is disabled",
          "the firmware settings, or tpm2_hierarchycontrol, can enable it"},
    Cause{TPM2_RC_INITIALIZE, Errc::tpm, "the TPM was reset and not started", "restart the machine"},
    Cause{TPM2_RC_FAILURE, Errc::tpm, "the TPM is in failure mode", "restart the machine"},
    Cause{TPM2_RC_RETRY, Errc::tpm, "the TPM is busy", "try again"},
    Cause{TPM2_RC_TESTING, Errc::tpm, "the TPM is testing itself", "try again"},
    Cause{TPM2_RC_NV_RATE, Errc::tpm, "the TPM limits the rate of writes", "try again in a minute"},
};

constexpr TSS2_RC layer_of(TSS2_RC rc) noexcept {
    return rc & TSS2_RC_LAYER_MASK;
}

} // namespace

bool is_tpm_code(TSS2_RC rc) noexcept {
    // A resource manager hands the TPM's own codes on under a layer of its own.
    return layer_of(rc) == TSS2_TPM_RC_LAYER || layer_of(rc) == TSS2_RESMGR_TPM_RC_LAYER;
}

TSS2_RC base_code(TSS2_RC rc) noexcept {
    if (!is_tpm_code(rc))
        return rc;
    const TSS2_RC code = rc & 0xFFFU;
    constexpr TSS2_RC format_one = 0x080, number_of_format_one = 0x03F;
    return (code & format_one) != 0 ? code & (format_one | number_of_format_one) : code;
}

bool is_about_parameter(TSS2_RC rc, unsigned number) noexcept {
    constexpr TSS2_RC parameter = TPM2_RC_FMT1 | TPM2_RC_P;
    return is_tpm_code(rc) && (rc & (parameter | TPM2_RC_N_MASK)) == (parameter | number << 8U);
}

Error error_of(const char* call, TSS2_RC rc) {
    const auto code = base_code(rc);
    const auto cause = std::ranges::find(causes, code, &Cause::code);
    if (cause != causes.end())
        return Error::from_tpm(cause->errc, code, std::string(cause->message) + " (" + call + ")",
                               std::string(cause->hint));
    return Error::from_tpm(Errc::tpm, code, std::string(call) + ": " + Tss2_RC_Decode(rc));
}

void check(const char* call, TSS2_RC rc) {
    if (rc != TSS2_RC_SUCCESS)
        throw error_of(call, rc);
}

TSS2_RC check_expecting(const char* call, TSS2_RC rc, std::initializer_list<TSS2_RC> expected) {
    const auto code = base_code(rc);
    if (rc != TSS2_RC_SUCCESS && std::ranges::find(expected, code) == expected.end())
        throw error_of(call, rc);
    return code;
}

} // namespace sshtpm::tpm
