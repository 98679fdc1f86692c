// SPDX-License-Identifier: MIT
#pragma once
// Links named like the OpenSSH tools: ssh-agent, ssh-add and ssh-keygen. Each applet decides which calls of
// the tool are for it; the others go to the next program of that name in PATH.

#include "applets/applets.hpp"
#include "base/error.hpp"
#include "cli/options.hpp"

#include <string>
#include <vector>

namespace sshtpm::applets {

/// The next program of this name in the folders of PATH. Leaves out every ssh-tpm: this one, by its inode,
/// and another installation, which could hand the call back.
/// @throws Error(not_found), also if calls were handed over again and again, by scripts that run this program
std::string next_program(std::string_view name);

/// Runs the next program of this name in place of this one, with the arguments as they came.
/// @param reason why the call is not ours, for an error
/// @throws Error(not_found | permission | io) if it cannot be run
[[noreturn]] void hand_over(const Call& call, std::string_view reason);

/// Runs the next program of this name as a child, with other arguments, and waits for it as os::wait_or_end
/// does. The child gets SIGTERM if this process is killed.
/// @param arguments the first one is replaced by the program
/// @returns its exit status, or 128 plus the number of the signal that ended it
int run_next(const std::string& name, std::vector<std::string> arguments);

/// @returns the result of `parse`. Hands the call of an OpenSSH tool over if it throws cli::NotOurs.
template <class Parse>
decltype(auto) or_hand_over(const Call& call, const Parse& parse) {
    try { // caught because a line that is wrong here may be right there
        return parse();
    } catch (const cli::NotOurs& error) {
        if (!call.as_openssh())
            throw;
        hand_over(call, error.what());
    }
}

/// Prints the help text; for an OpenSSH tool only where to read of its differences.
int show_help(const Call& call, std::string_view usage, std::string_view about,
              const std::vector<cli::Option>& options, std::string_view closing);

} // namespace sshtpm::applets
