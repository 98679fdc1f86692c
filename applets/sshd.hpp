// SPDX-License-Identifier: MIT
#pragma once
// Asks sshd for its configuration.

#include "os/child.hpp"
#include "ssh/sshd_settings.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// sshd must be called by its absolute path. @returns nothing if there is no sshd
std::optional<std::string> find_sshd();

/// sshd's configuration, and the lines that set host keys, their certificates, their agent, and subsystems.
/// The lines serve only to name places: their values are not parsed as sshd does.
struct SshdView {
    std::vector<ssh::SshdLine> agents, host_keys, host_certificates, algorithms; ///< HostKeyAlgorithms last
    std::vector<ssh::SshdLine> subsystems;                                       ///< with their names
    std::vector<ssh::SshdHostKey> loaded;
    std::optional<ssh::SshdVersion> version;   ///< nothing if it is not known
    std::optional<ssh::SshdLine> refused_line; ///< nothing if sshd names none
    std::optional<ssh::SshdSettings> settings; ///< nothing if sshd refuses the configuration
    std::string errors;                        ///< its reason, in one line
};

/// Asks sshd -T, which refuses what sshd -t refuses, with the same messages (main in sshd.c). Also for a
/// configuration that sshd refuses, with the lines up to the one that it refuses.
/// @throws Error(not_found), Error(io) if sshd runs longer than the limit `sshd`, Error(malformed) for other
///     output than sshd's
SshdView ask_for_configuration();

/// For a sshd that does not read the installed file, or reads it as a part of a Match block.
inline constexpr const char* include_hint =
    "write in /etc/ssh/sshd_config, above all other lines: Include /etc/ssh/sshd_config.d/*.conf";

/// True if sshd refuses the configuration only because it has no host key.
bool lacks_host_keys(const SshdView& view);

/// How to end sshd's refusal of the configuration. @param for_keys if sshd has no host key
std::string hint_for_refusal(const SshdView& view, const std::string& for_keys);

/// "WHAT: the errors of sshd".
std::string with_errors(const std::string& what, const SshdView& view);

/// @throws Error(refused) if sshd refuses the configuration
const ssh::SshdSettings& settings_of(const SshdView& view);

/// "FILE line N".
std::string place_of(const ssh::SshdLine& line);

/// " (FILE line N)" for the first of the lines that sets this value, else empty.
std::string in_line_of(const std::string& value, const std::vector<ssh::SshdLine>& lines);

/// True if `comment` is alone in the line above one of the lines that set this value.
bool has_comment(const std::string& value, const std::vector<ssh::SshdLine>& lines, std::string_view comment);

} // namespace sshtpm::applets
