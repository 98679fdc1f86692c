#pragma once
// Who asks a person for a secret: an askpass program, the terminal, standard input, or nobody. The rules are
// those of OpenSSH's read_passphrase, as ssh(1) and ssh-keygen(1) document them.

#include <optional>
#include <string>

namespace sshtpm::prompt {

enum class Asker { askpass, terminal, standard_input, nobody };

struct Circumstances {
    bool display = false;                            ///< DISPLAY or WAYLAND_DISPLAY is set and not empty
    std::optional<std::string> askpass_require = {}; ///< SSH_ASKPASS_REQUIRE: "never", "prefer", "force"
    bool terminal = false;       ///< there is a terminal, and this process may read from it
    bool stdin_terminal = false; ///< standard input is one
};

enum class Program {
    agent, ///< the terminal, else askpass
    tool,  ///< the same while standard input is a terminal; else askpass, and without one standard input
};

/// Whether an askpass program may be started at all.
bool askpass_allowed(const Circumstances& circumstances);

Asker choose_asker(const Circumstances& circumstances, Program program);

/// What holds in this process now.
Circumstances current_circumstances();

} // namespace sshtpm::prompt
