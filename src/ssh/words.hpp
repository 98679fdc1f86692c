#pragma once
// The words of a line, as OpenSSH's text files have them: apart by spaces and tabs.

#include <algorithm>
#include <string_view>

namespace sshtpm::ssh {

inline constexpr std::string_view blanks = " \t";

inline void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
}

/// Takes what stands in front of the next blank, and the blanks behind it.
inline std::string_view take_word(std::string_view& text) {
    const auto word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    skip_blanks(text);
    return word;
}

/// Whether they are the same but for the case of ASCII letters.
inline bool same_word(std::string_view word, std::string_view lower_case) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(word, lower_case, {}, lower);
}

} // namespace sshtpm::ssh
