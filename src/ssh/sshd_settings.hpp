// SPDX-License-Identifier: MIT
#pragma once
// What sshd prints of its configuration: the settings (sshd(8), "-T"), and the lines that they come from.

#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::ssh {

/// More than sshd takes (MAX_HOSTKEYS in its servconf.h).
inline constexpr std::size_t max_host_keys = 256;

struct SshdSettings {
    std::string host_key_agent; ///< empty when there is none
    std::vector<std::string> host_keys;

    friend bool operator==(const SshdSettings&, const SshdSettings&) = default;
};

/// Reads the lines "hostkeyagent PATH" and "hostkey PATH", and skips the others. OpenSSH 10.6 prints
/// "HostKeyAgent", 10.0 "hostkeyagent". A path may have blanks. The agent "none" becomes empty; sshd's word
/// "SSH_AUTH_SOCK" is kept.
/// @throws Error(malformed) for a path that is missing or has control characters, for a second agent, and for
///     more than max_host_keys host keys.
SshdSettings parse_sshd_settings(std::string_view printed);

/// A line of sshd's configuration files.
struct SshdLine {
    std::string file;
    unsigned number = 0;
    std::string value; ///< the first argument, without quotation marks

    friend bool operator==(const SshdLine&, const SshdLine&) = default;
};

/// Finds the lines that set a keyword, in the order in which sshd reads them, in the output of sshd -ddd:
/// "debug3: FILE:NUMBER setting KEYWORD VALUE" (process_server_config_line_depth in servconf.c of OpenSSH 8.4
/// to 10.6). Other lines are skipped.
/// @param keyword as in sshd_config(5), in either case
std::vector<SshdLine> parse_sshd_lines(std::string_view printed, std::string_view keyword);

} // namespace sshtpm::ssh
