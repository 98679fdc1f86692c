#pragma once
// Environment variables.

#include "base/secret.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// Nothing when the variable is not set; an empty one is an empty string.
std::optional<std::string> variable(const char* name);

/// True when it is set and not empty.
bool has_variable(const char* name);

/// The absolute path of a program, from the folders of PATH, and from `more` of the same form behind them.
std::optional<std::string> find_program(std::string_view name, std::string_view more = {});

/// Takes a variable out of the environment and wipes its value there: neither a child nor /proc/PID/environ
/// has it then. Nothing when it is not set.
std::optional<Secret> take_secret_variable(const char* name);

/// This process's environment with changes, for another program: "NAME=value" sets a variable, "NAME" takes
/// one out (as putenv(3) reads it).
std::vector<std::string> environment_with(const std::vector<std::string>& changes);

/// The null-terminated array of pointers that exec and posix_spawn take; it points into `strings`.
std::vector<char*> pointers_to(std::vector<std::string>& strings);

} // namespace sshtpm::os
