#pragma once
// What `sshd -T` prints: the configuration as sshd has understood it (sshd(8), "-T").

#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::ssh {

/// More than sshd takes itself (MAX_HOSTKEYS in its servconf.h).
inline constexpr std::size_t max_host_keys = 256;

struct SshdSettings {
    std::string host_key_agent; ///< empty when there is none
    std::vector<std::string> host_keys;

    friend bool operator==(const SshdSettings&, const SshdSettings&) = default;
};

/// The lines "hostkeyagent PATH" and "hostkey PATH" among all the others, which are passed over. A path may
/// have blanks. The words "none" and "SSH_AUTH_SOCK" are sshd's; the latter stays as it is.
/// @throws Error(malformed) for a path that is missing or has control characters, a second agent, or more
/// host keys than max_host_keys.
SshdSettings parse_sshd_settings(std::string_view printed);

} // namespace sshtpm::ssh
