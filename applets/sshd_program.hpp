#pragma once
// Asking sshd what it thinks.

#include <string>
#include <vector>

namespace sshtpm::applets {

struct SshdAnswer {
    int status = 0;
    std::string output; ///< of its stdout; what it says on stderr is shown only when it fails
};

/// Whether there is one at all.
bool has_sshd();

/// Runs sshd, from PATH or /usr/sbin, with these options. @throws Error(not_found)
SshdAnswer ask_sshd(const std::vector<std::string>& options);

} // namespace sshtpm::applets
