#include "ssh/pattern.hpp"

#include <algorithm>
#include <string>

namespace sshtpm::ssh {

namespace {

/// match_pattern_list of OpenSSH copies each pattern into a buffer of 1024 bytes, and gives up when it fills
/// all but the last one.
constexpr std::size_t longest_pattern = 1022;

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

} // namespace

bool match_pattern(std::string_view text, std::string_view pattern) {
    std::size_t at = 0, in_pattern = 0;
    // Only the last '*' can have to take more: what stood before it has matched, and an earlier one that took
    // more would leave less for the rest.
    auto behind_star = std::string_view::npos;
    std::size_t star_ends = 0; // where in the text the last '*' stops taking
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

bool match_pattern_list(std::string_view text, std::string_view patterns, bool fold_case) {
    const auto subject = fold_case ? lower(text) : std::string(text);
    const auto list = fold_case ? lower(patterns) : std::string(patterns);
    bool matched = false;
    for (std::string_view rest = list; !rest.empty();) {
        const bool negated = rest.front() == '!';
        rest.remove_prefix(negated ? 1 : 0);
        const auto pattern = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(pattern.size() + 1, rest.size()));
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
