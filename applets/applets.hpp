#pragma once
// The applets' entry points, for the table in main.

#include "cli/applet.hpp"

#include <string>

namespace sshtpm::applets {

int run_keygen(std::span<char*> arguments);
int run_agent(std::span<char*> arguments);
int run_add(std::span<char*> arguments);
int run_hostkeys(std::span<char*> arguments);

} // namespace sshtpm::applets
