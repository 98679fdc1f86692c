#pragma once
// How a failure is told to the person at the command line.

#include "base/error.hpp"

namespace sshtpm::cli {

/// "PROGRAM: error: …" and, when there is one, "hint: …", on stderr, made printable.
/// @returns the exit status: 2 for a usage error, else 1.
int report(std::string_view program, const Error& error);

/// The same as "PROGRAM: warning: …", of what goes on all the same.
void warn(std::string_view program, const Error& error);

/// Writes out what was printed to std::cout. @throws Error(io) when that, or a part of it before, failed.
void finish_printing();

} // namespace sshtpm::cli
