// SPDX-License-Identifier: MIT
#pragma once
// The applets, for the table in main.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// How the program was called.
struct Call {
    std::string name;                       ///< for messages: "ssh-tpm-add", or "ssh-add"
    std::span<char*> arguments;             ///< as main's: the first is the program's name
    std::vector<std::string> original = {}; ///< the same for OpenSSH's program, else empty

    /// By a link named like a tool of OpenSSH.
    bool as_openssh() const { return !original.empty(); }
    /// Frees the copies, which free() wipes.
    void forget_original() {
        if (as_openssh())
            std::vector<std::string>{name}.swap(original);
    }
};

struct Applet {
    std::string_view name;    ///< "keygen"; the link is "ssh-tpm-keygen"
    std::string_view summary; ///< one line for the list
    std::string_view openssh; ///< the tool of OpenSSH that has its options, if any
    /// @returns the exit status
    int (*run)(Call& call);
};

int run_keygen(Call& call);
int run_agent(Call& call);
int run_add(Call& call);
int run_hostkeys(Call& call);
int run_attest(Call& call);
int run_doctor(Call& call);

/// Prints the version, of all applets alike. @returns the exit status
int show_version();

} // namespace sshtpm::applets
