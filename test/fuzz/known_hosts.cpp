// SPDX-License-Identifier: MIT
// The name of a host, up to the first newline, and a known_hosts file: every key that is found is one that
// describe() knows. The first line is also taken for a list of patterns, with the text in front of its first
// blank, and held to a slow matcher.

#include "ssh/known_hosts.hpp"

#include "fuzz/target.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/text.hpp"

#include <algorithm>

using namespace sshtpm;

namespace {

/// The states of a matcher that keeps them all: which prefixes of the pattern match the text so far.
bool slow_match(std::string_view text, std::string_view pattern) {
    std::vector<bool> states(pattern.size() + 1);
    states[0] = true;
    const auto skip_stars = [&] {
        for (std::size_t i = 0; i < pattern.size(); ++i)
            if (states[i] && pattern[i] == '*')
                states[i + 1] = true;
    };
    skip_stars();
    for (const char c : text) {
        std::vector<bool> next(pattern.size() + 1);
        for (std::size_t i = 0; i < pattern.size(); ++i)
            if (states[i] && pattern[i] == '*')
                next[i] = true;
            else if (states[i] && (pattern[i] == '?' || pattern[i] == c))
                next[i + 1] = true;
        states = std::move(next);
        skip_stars();
    }
    return states.back();
}

std::string lower(std::string text) {
    for (auto& c : text)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return text;
}

void check_patterns(std::string_view line) {
    const auto text = line.substr(0, line.find(' '));
    const auto pattern = line.substr(std::min(text.size() + 1, line.size()));
    const bool matches = slow_match(text, pattern);
    require(ssh::match_pattern(text, pattern) == matches);
    const bool single = !pattern.empty() && !pattern.starts_with('!') && pattern.size() < 1000 &&
                        pattern.find(',') == std::string_view::npos;
    require(!single || ssh::match_host(text, pattern) ==
                           slow_match(lower(std::string(text)), lower(std::string(pattern))));
    static_cast<void>(ssh::match_host(text, pattern));
}

} // namespace

FUZZ_TARGET(known_hosts) {
    const auto input = text_of({data, size});
    const auto host = input.substr(0, input.find('\n'));
    const auto file = input.substr(std::min(host.size() + 1, input.size()));
    for (const auto& known : ssh::find_known_hosts(file, host))
        static_cast<void>(ssh::describe(known.key_blob)); // may not throw
    check_patterns(host);
}
