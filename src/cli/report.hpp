// SPDX-License-Identifier: MIT
#pragma once
// Prints errors for the person at the command line.

#include "base/error.hpp"

#include <string>
#include <string_view>

namespace sshtpm::cli {

/// "hint: …" in lines of at most `width` columns; those behind the first begin with two spaces. A command
/// between backticks stays on one line, however long, so that it can be copied; the backticks are left out.
std::string hint_lines(std::string_view hint, std::size_t width = 80);

/// Prints "PROGRAM: error: …" and, if there is a hint, its lines on stderr, made printable. In the journal
/// they have their priority (log::journal_prefix), and the hint is one line.
/// @returns the exit status: 2 for a usage error, else 1
int report(std::string_view program, const Error& error);

/// Prints "PROGRAM: warning: …" and the hint for an error that does not end the program.
void warn(std::string_view program, const Error& error);

/// Flushes std::cout. @throws Error(io) if this write or an earlier one failed
void finish_printing();

} // namespace sshtpm::cli
