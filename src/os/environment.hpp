#pragma once
// Environment variables.

#include <optional>
#include <string>

namespace sshtpm::os {

/// Nothing when the variable is not set; an empty one is an empty string.
std::optional<std::string> variable(const char* name);

/// True when it is set and not empty.
bool has_variable(const char* name);

} // namespace sshtpm::os
