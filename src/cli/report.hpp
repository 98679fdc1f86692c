#pragma once
// Prints errors for the person at the command line.

#include "base/error.hpp"

namespace sshtpm::cli {

/// Prints "PROGRAM: error: …" and, if there is a hint, "hint: …" on stderr, made printable. In the journal
/// they have their priority (log::journal_prefix).
/// @returns the exit status: 2 for a usage error, else 1
int report(std::string_view program, const Error& error);

/// Prints "PROGRAM: warning: …" and the hint for an error that does not end the program.
void warn(std::string_view program, const Error& error);

/// Flushes std::cout. @throws Error(io) if this write or an earlier one failed
void finish_printing();

} // namespace sshtpm::cli
