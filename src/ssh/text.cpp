// SPDX-License-Identifier: MIT
#include "ssh/text.hpp"

#include "base/lines.hpp"

#include <algorithm>
#include <string>

namespace sshtpm::ssh {

namespace {

constexpr std::string_view blanks = " \t";

/// match_pattern_list of OpenSSH copies each pattern into a buffer of 1024 bytes, and refuses a pattern of
/// 1023 bytes or more.
constexpr std::size_t longest_pattern = 1022;

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

} // namespace

void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
}

std::string_view take_word(std::string_view& text) {
    const auto word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    skip_blanks(text);
    return word;
}

bool same_word(std::string_view word, std::string_view lower_case) {
    return word.size() == lower_case.size() && lower(word) == lower_case;
}

bool match_pattern(std::string_view text, std::string_view pattern) {
    std::size_t at = 0, in_pattern = 0;
    // On a mismatch only the last '*' has to match more characters. The pattern in front of it has matched
    // already; a longer match of an earlier '*' would leave less text for the rest.
    auto behind_star = std::string_view::npos;
    std::size_t star_ends = 0; // the end of the text that the last '*' matches
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            behind_star = ++in_pattern;
            star_ends = at;
        } else if (in_pattern < pattern.size() &&
                   (pattern[in_pattern] == '?' || pattern[in_pattern] == text[at])) {
            ++at;
            ++in_pattern;
        } else if (behind_star != std::string_view::npos) {
            at = ++star_ends;
            in_pattern = behind_star;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

bool match_host(std::string_view host, std::string_view patterns) {
    const auto subject = lower(host), list = lower(patterns);
    bool matched = false;
    for (std::string_view rest = list; !rest.empty();) {
        const bool negated = rest.front() == '!';
        rest.remove_prefix(negated ? 1 : 0);
        const auto pattern = take_item(rest, ',');
        if (pattern.size() > longest_pattern)
            return false;
        if (!match_pattern(subject, pattern))
            continue;
        if (negated)
            return false;
        matched = true;
    }
    return matched;
}

} // namespace sshtpm::ssh
