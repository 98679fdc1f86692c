// SPDX-License-Identifier: MIT
#include "base/shell_word.hpp"

namespace sshtpm {

namespace {

constexpr std::string_view plain_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:";

} // namespace

std::string shell_word(std::string_view text, Shell shell) {
    if (!text.empty() && text.find_first_not_of(plain_characters) == std::string_view::npos)
        return std::string(text);
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else if (shell == Shell::c && (c == '!' || c == '\n')) // special in a C shell even between quotes
            out.append("\\").append(1, c);
        else if (shell == Shell::fish && c == '\\') // likewise in fish
            out += "\\\\";
        else if (shell == Shell::fish && c == '\n') // fish splits the output of a command into lines
            out += "'\\n'";
        else
            out += c;
    }
    return out + "'";
}

} // namespace sshtpm
