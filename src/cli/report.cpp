// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <iostream>

namespace sshtpm::cli {

namespace {

/// The columns of a text, if each character of it takes one.
std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](unsigned char c) { return (c & 0xC0U) != 0x80U; }));
}

/// Takes the text up to the next space, or up to the first behind a command in backticks.
std::string_view take_word(std::string_view& text) {
    bool in_command = false;
    const auto end = std::ranges::find_if(text, [&](char c) {
        in_command ^= c == '`';
        return c == ' ' && !in_command;
    });
    const auto word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

void tell(std::string_view program, log::Level level, std::string_view word, const Error& error) {
    constexpr std::size_t terminal = 80, longest = 2000;
    const auto prefix = log::journal_prefix(level);
    std::cerr << prefix << program << ": " << word << ": " << printable(error.what(), longest) << '\n';
    if (!error.hint().empty())
        std::cerr << prefix
                  << hint_lines(printable(error.hint(), longest), prefix.empty() ? terminal : longest);
}

} // namespace

std::string hint_lines(std::string_view hint, std::size_t width) {
    std::string out, line = "hint:";
    for (bool first_word = true; !hint.empty(); first_word = false) {
        std::string word(take_word(hint));
        std::erase(word, '`');
        if (!first_word && columns_of(line) + 1 + columns_of(word) > width) {
            out.append(line).append("\n");
            line = " ";
        }
        line.append(" ").append(word);
    }
    return out.append(line).append("\n");
}

int report(std::string_view program, const Error& error) {
    tell(program, log::Level::error, "error", error);
    return error.code() == Errc::usage ? 2 : 1;
}

void warn(std::string_view program, const Error& error) {
    tell(program, log::Level::warning, "warning", error);
}

void finish_printing() {
    if (!std::cout.flush())
        throw Error(Errc::io, "the output could not be written",
                    "standard output is closed, full, or read by nobody");
}

} // namespace sshtpm::cli
