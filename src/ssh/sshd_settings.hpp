// SPDX-License-Identifier: MIT
#pragma once
// Parses the output of `sshd -T -ddd`: settings, the lines that set them, loaded host keys, and sshd's
// version.

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::ssh {

/// More than sshd takes (MAX_HOSTKEYS in its servconf.h).
inline constexpr std::size_t max_host_keys = 256;

struct SshdSettings {
    std::string host_key_agent; ///< empty when there is none
    std::vector<std::string> host_keys, host_certificates;
    /// Names with commas between them; empty if this sshd does not print them. sshd prints +, - and patterns
    /// as the list that they stand for.
    std::string host_key_algorithms;
    std::string pid_file; ///< empty when there is none

    friend bool operator==(const SshdSettings&, const SshdSettings&) = default;
};

/// True if the name is one of `names`, which have commas between them.
bool is_listed(std::string_view name, std::string_view names);

/// Reads the lines "hostkeyagent PATH", "hostkey PATH", "hostcertificate PATH", "hostkeyalgorithms NAMES"
/// and "pidfile PATH", and skips the others. OpenSSH 10.6 prints "HostKeyAgent", 10.0 "hostkeyagent". A path
/// may have blanks. The agent or file "none" becomes empty; sshd's word "SSH_AUTH_SOCK" is kept.
/// @throws Error(malformed) for a value that is missing or has control characters, for a second line with one
///     of the single values, and for more than max_host_keys host keys or certificates
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

/// Finds the first line that sshd refuses: "FILE line N: REASON", or "FILE: line N: …". Options that are only
/// deprecated or not supported do not count. The value stays empty.
std::optional<SshdLine> parse_refused_line(std::string_view printed);

/// A host key that sshd has loaded.
struct SshdHostKey {
    std::size_t number = 0;  ///< of its path in SshdSettings::host_keys, from 0
    bool is_private = false; ///< sshd signs with it itself, and has no agent sign
    std::string type;        ///< "ssh-ed25519"

    friend bool operator==(const SshdHostKey&, const SshdHostKey&) = default;
};

/// Finds the host keys that sshd has loaded in the output of sshd -ddd: "debug1: private host key #NUMBER:
/// TYPE FINGERPRINT", or "agent host key" (main in sshd.c of OpenSSH 8.4 to 10.6). Other lines are skipped.
std::vector<SshdHostKey> parse_sshd_host_keys(std::string_view printed);

/// 9.2 of "OpenSSH_9.2p1".
struct SshdVersion {
    unsigned major = 0, minor = 0;

    friend auto operator<=>(const SshdVersion&, const SshdVersion&) = default;
};

/// Finds the version in the output of sshd -ddd: "debug1: sshd version OpenSSH_9.2, OpenSSL …" (main in
/// sshd.c of OpenSSH 8.4 to 10.6). @returns nothing for another program's
std::optional<SshdVersion> parse_sshd_version(std::string_view printed);

} // namespace sshtpm::ssh
