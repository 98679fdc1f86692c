#pragma once
// What TctiLog recorded, taken apart command by command: for what must hold of every command that this
// program sends.

#include "support/tcti_log.hpp"

#include <string_view>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

namespace tpm_test {

/// One entry of a command's authorization area (TPM 2.0 Part 1, 18).
struct Authorization {
    TPM2_HANDLE session = 0;
    sshtpm::Bytes hmac; ///< of TPM2_RS_PW: the auth value in the clear
};

struct Command {
    TPM2_CC code = 0;
    std::vector<TPM2_HANDLE> handles;
    std::vector<Authorization> authorizations;
};

/// @throws std::runtime_error for a command whose number of handles is not known here.
std::vector<Command> commands_on(sshtpm::ByteView bus);

/// True when the text is nowhere in the recorded bytes.
bool never_on_bus(const support::TctiLog& log, std::string_view secret);

/// True when something was recorded, each StartAuthSession of an HMAC session is salted and each
/// authorization by TPM2_RS_PW is an empty one.
bool sessions_are_safe(const support::TctiLog& log);

} // namespace tpm_test
