#pragma once
// The applets, for the table in main.

#include <span>
#include <string_view>

namespace sshtpm::applets {

struct Applet {
    std::string_view name;    ///< "keygen"; the link is "ssh-tpm-keygen"
    std::string_view summary; ///< one line for the list
    /// @param arguments as main's: the first is the program's name. @returns the exit status.
    int (*run)(std::span<char*> arguments);
};

int run_keygen(std::span<char*> arguments);
int run_agent(std::span<char*> arguments);
int run_add(std::span<char*> arguments);
int run_hostkeys(std::span<char*> arguments);

/// Prints the version, of all applets alike. @returns the exit status
int show_version();

} // namespace sshtpm::applets
