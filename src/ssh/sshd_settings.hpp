#pragma once
// The output of `sshd -T`: the configuration of sshd (sshd(8), "-T").

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

/// Reads the lines "hostkeyagent PATH" and "hostkey PATH", and skips the others. A path may have blanks. The
/// agent "none" becomes empty; sshd's word "SSH_AUTH_SOCK" is kept.
/// @throws Error(malformed) for a path that is missing or has control characters, for a second agent, and for
///     more than max_host_keys host keys.
SshdSettings parse_sshd_settings(std::string_view printed);

} // namespace sshtpm::ssh
