// SPDX-License-Identifier: MIT
#include "tpm/rc.hpp"

#include <algorithm>
#include <iterator>
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
    Remedy remedy = Remedy::none;
};

constexpr std::string_view restart = "restart the machine; if that does not help, the TPM is broken";
constexpr std::string_view other_size =
    "`ssh-tpm keygen --supported` lists what this TPM has; a firmware update may add to it";
constexpr std::string_view damaged = "restore the key file from a backup, or make a new key";
constexpr std::string_view disturbed =
    "it is connected to anew for the next request; if this happens often, look at the TPM's firmware, and at "
    "the log of its resource manager";

/// The first row of a code counts. Part 2, 6.6.3 has the TPM's own.
constexpr Cause causes[] = {
    // Keys and passwords
    {TPM2_RC_AUTH_FAIL, Errc::auth, "the PIN is wrong", "the TPM counts wrong PINs and locks after some"},
    {TPM2_RC_BAD_AUTH, Errc::auth, "the password is wrong", "-o asks for the owner password"},
    {TPM2_RC_LOCKOUT, Errc::lockout, "the TPM is in dictionary-attack lockout", end_of_lockout},
    {TPM2_RC_INTEGRITY, Errc::foreign_key,
     "this key belongs to another TPM, or the TPM was cleared since it was made, or the key has another "
     "parent than its file names",
     "make a new key here and replace the public key where this one was authorized; for a key that was made "
     "here under another primary key, make that primary key persistent (tpm2_evictcontrol), and write the "
     "key file again with its handle (`tpm2_encodeobject -C 0x81…`); for host keys, `ssh-tpm hostkeys "
     "--renew`"},
    {TPM2_RC_BINDING, Errc::malformed, "the two halves of this key do not belong together", damaged},
    {TPM2_RC_SENSITIVE, Errc::malformed, "the private half of this key is damaged", damaged},
    {TPM2_RC_INSUFFICIENT, Errc::malformed, "a part of this key is cut short", damaged},
    {TPM2_RC_KEY, Errc::malformed, "this key is damaged", damaged},
    {TPM2_RC_ECC_POINT, Errc::malformed, "the public half of this key is no point of its curve", damaged},
    {TPM2_RC_PARENT, Errc::unsupported, "the key's parent is not a storage key: it cannot be a parent",
     "--parent-handle names another one"},
    {TPM2_RC_AUTH_TYPE, Errc::unsupported, "this key is not for use with a PIN",
     "it was made for a policy; make one for SSH with `ssh-tpm keygen`"},
    {TPM2_RC_AUTH_UNAVAILABLE, Errc::unsupported, "this key can be used under a policy only",
     "make one for SSH with `ssh-tpm keygen`"},
    {TPM2_RC_POLICY_FAIL, Errc::unsupported, "the policy of this key forbids its use",
     "make one for SSH with `ssh-tpm keygen`"},
    // Support by this TPM
    {TPM2_RC_CURVE, Errc::unsupported, "this TPM does not have this curve", other_size},
    {TPM2_RC_KEY_SIZE, Errc::unsupported, "this TPM has no keys of this size", other_size},
    {TPM2_RC_ASYMMETRIC, Errc::unsupported, "this TPM has no keys of this type", other_size},
    {TPM2_RC_TYPE, Errc::unsupported, "this TPM has no keys of this type", other_size},
    {TPM2_RC_HASH, Errc::unsupported, "this TPM does not have this hash", other_size},
    {TPM2_RC_SCHEME, Errc::unsupported, "this TPM does not sign in this way", other_size},
    {TPM2_RC_SYMMETRIC, Errc::unsupported, "this TPM has no AES-128-CFB",
     "without it nothing can be kept secret on the way to it; a firmware update may help"},
    {TPM2_RC_SIZE, Errc::unsupported, "this TPM does not accept the size of a value", other_size},
    {TPM2_RC_VALUE, Errc::unsupported, "this TPM does not accept a value", other_size},
    {TPM2_RC_ATTRIBUTES, Errc::unsupported, "this TPM does not accept the attributes of this key",
     "make a new one with `ssh-tpm keygen`"},
    {TPM2_RC_COMMAND_CODE, Errc::unsupported, "this TPM lacks a command that is needed",
     "a firmware update may bring it"},
    {TPM2_RC_DISABLED, Errc::tpm, "this command is disabled in the TPM",
     "the firmware settings of the machine can enable it"},
    {TPM2_RC_HIERARCHY, Errc::tpm, "this hierarchy of the TPM is disabled",
     "the firmware settings, or tpm2_hierarchycontrol, can enable it"},
    {TPM2_RC_LOCALITY, Errc::tpm, "the TPM is not open to programs at this locality",
     "the firmware, or another operating system that runs beside this one, holds it"},
    // Memory and slots
    {TPM2_RC_OBJECT_MEMORY, Errc::tpm, "the TPM has no room for another key",
     "another program holds the TPM's slots; use /dev/tpmrm0, or `tpm2_flushcontext -t`", Remedy::make_room},
    {TPM2_RC_OBJECT_HANDLES, Errc::tpm, "the TPM has no handle left for another key", restart,
     Remedy::make_room},
    {TPM2_RC_SESSION_MEMORY, Errc::tpm, "the TPM has no room for another session",
     "another program holds the TPM's sessions; use /dev/tpmrm0, or `tpm2_flushcontext -s`",
     Remedy::make_room},
    {TPM2_RC_SESSION_HANDLES, Errc::tpm, "the TPM has no session handle left",
     "`tpm2_flushcontext -s` frees those that a program has left behind", Remedy::make_room},
    {TPM2_RC_MEMORY, Errc::tpm, "the TPM has no memory left",
     "another program uses it; use /dev/tpmrm0, or try again", Remedy::make_room},
    {TPM2_RC_CONTEXT_GAP, Errc::tpm, "another program has kept a session for too long",
     "end that program, or `tpm2_flushcontext -s`, and try again", Remedy::make_room},
    {TPM2_RC_NV_SPACE, Errc::tpm, "the TPM's memory for persistent objects is full",
     "tpm2_evictcontrol and tpm2_nvundefine free objects that are not needed"},
    // Delays
    {TPM2_RC_RETRY, Errc::tpm, "the TPM is busy", "try again", Remedy::wait},
    {TPM2_RC_YIELDED, Errc::tpm, "the TPM is busy", "try again", Remedy::wait},
    {TPM2_RC_TESTING, Errc::tpm, "the TPM is testing itself", "try again", Remedy::wait},
    {TPM2_RC_CANCELED, Errc::tpm, "the TPM was told to cancel this", "try again"},
    {TPM2_RC_NV_RATE, Errc::tpm, "the TPM limits the rate of writes", "try again in a minute",
     Remedy::make_room},
    {TPM2_RC_NV_UNAVAILABLE, Errc::tpm, "the TPM cannot write its memory now", "try again in a minute",
     Remedy::make_room},
    // State of the TPM
    {TPM2_RC_INITIALIZE, Errc::tpm, "the TPM was reset and not started", "restart the machine"},
    {TPM2_RC_REBOOT, Errc::tpm, "the TPM wants the machine to be restarted", "restart the machine"},
    {TPM2_RC_UPGRADE, Errc::tpm, "the TPM's firmware is being updated", "finish the update first"},
    {TPM2_RC_FAILURE, Errc::tpm, "the TPM is in failure mode", restart},
    {TPM2_RC_NEEDS_TEST, Errc::tpm, "the TPM has not tested itself", "`tpm2_selftest -f`, or restart"},
    {TPM2_RC_HANDLE, Errc::not_found, "what this key needs is no longer in the TPM",
     "try again; if its parent was a persistent object, that object must be made anew"},
    // The connection; Tcti returns no other code of TCTIs
    {TSS2_TCTI_RC_IO_ERROR, Errc::tpm, "the connection to the TPM broke", disturbed},
    {TSS2_SYS_RC_MALFORMED_RESPONSE, Errc::tpm, "the TPM's answer makes no sense", disturbed},
    {TSS2_SYS_RC_INSUFFICIENT_RESPONSE, Errc::tpm, "the TPM's answer is too short", disturbed},
    {TSS2_ESYS_RC_MALFORMED_RESPONSE, Errc::tpm, "the TPM's answer makes no sense", disturbed},
    {TSS2_ESYS_RC_INSUFFICIENT_RESPONSE, Errc::tpm, "the TPM's answer is too short", disturbed},
    {TSS2_ESYS_RC_BAD_SEQUENCE, Errc::tpm, "the connection to the TPM was broken", disturbed},
    {TSS2_ESYS_RC_RSP_AUTH_FAILED, Errc::tpm, "the TPM's answer was altered on its way",
     "somebody or something sits between this machine and its TPM; do not enter a PIN until that is "
     "clear"},
};

/// A handle or session of the command is not in the TPM (H0 to H6 and S0 to S6 tell its position).
constexpr Cause lost_handle{
    TPM2_RC_REFERENCE_H0, Errc::tpm, "the TPM has lost a loaded key or session",
    "another program flushed it, or the TPM was reset; use /dev/tpmrm0, which keeps programs apart",
    Remedy::reload};

/// @returns null for a code without a row
const Cause* cause_of(TSS2_RC code) noexcept {
    if ((code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_H6) ||
        (code >= TPM2_RC_REFERENCE_S0 && code <= TPM2_RC_REFERENCE_S6))
        return &lost_handle;
    const auto* const found = std::ranges::find(causes, code, &Cause::code);
    return found == std::end(causes) ? nullptr : found;
}

/// False for codes of ESYS, SYS and the TCTI. A resource manager passes on the TPM's codes with its own
/// layer.
constexpr bool is_tpm_code(TSS2_RC rc) noexcept {
    const auto layer = rc & TSS2_RC_LAYER_MASK;
    return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

} // namespace

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

Remedy remedy_for(TSS2_RC rc) noexcept {
    const auto* const cause = cause_of(base_code(rc));
    return cause == nullptr ? Remedy::none : cause->remedy;
}

Error error_of(const char* call, TSS2_RC rc) {
    const auto code = base_code(rc);
    const auto where = std::string(" (") + call + ")";
    if (const auto* const cause = cause_of(code))
        return Error::from_tpm(cause->errc, code, std::string(cause->message) + where,
                               std::string(cause->hint));
    return Error::from_tpm(Errc::tpm, code,
                           std::string("the TPM or its driver refused: ") + Tss2_RC_Decode(rc) + where,
                           "this is not known to happen here; if it does again, restart the machine, and "
                           "report it with the line above");
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
