// SPDX-License-Identifier: MIT
#pragma once
// Words of commands for a shell, such as those in hints.

#include <string>
#include <string_view>

namespace sshtpm {

enum class Shell { bourne, c, fish };

/// A text as one word of a command, in quotes if the shell would not take it as it is.
std::string shell_word(std::string_view text, Shell shell = Shell::bourne);

} // namespace sshtpm
