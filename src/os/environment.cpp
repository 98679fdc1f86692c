#include "os/environment.hpp"

#include <cstdlib>

namespace sshtpm::os {

std::optional<std::string> variable(const char* name) {
    const char* value = ::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

bool has_variable(const char* name) {
    const auto value = variable(name);
    return value && !value->empty();
}

} // namespace sshtpm::os
