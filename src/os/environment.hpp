// SPDX-License-Identifier: MIT
#pragma once
// Environment variables.

#include "base/secret.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// @returns nothing if the variable is not set
std::optional<std::string> variable(const char* name);

/// Removes the variable, so that no child takes it for its own. @returns its value
std::optional<std::string> take_variable(const char* name);

/// True if it is set and not empty.
bool has_variable(const char* name);

/// The absolute path of a program, searched in the folders of PATH, then in those of `more`
/// ("/sbin:/usr/sbin").
/// @param accept returns false for a program to pass over
std::optional<std::string> find_program(
    std::string_view name, std::string_view more = {},
    const std::function<bool(const std::string& path)>& accept = [](const std::string&) { return true; });

/// Removes a variable and wipes its value, so that neither children nor /proc/PID/environ have it.
/// @returns the value; nothing if the variable is not set
std::optional<Secret> take_secret_variable(const char* name);

/// This process's environment for another program. As for putenv(3), a change "NAME=value" sets a variable,
/// and "NAME" removes one.
std::vector<std::string> environment_with(const std::vector<std::string>& changes);

/// The null-terminated array for exec and posix_spawn; it points into `strings`.
std::vector<char*> pointers_to(std::vector<std::string>& strings);

} // namespace sshtpm::os
