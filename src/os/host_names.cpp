// SPDX-License-Identifier: MIT
#include "os/host_names.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <unistd.h>

namespace sshtpm::os {

namespace {

std::string lower_case(std::string name) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    return name;
}

/// Removes the first word. @returns it; empty if there is none
std::string_view take_word(std::string_view& line) {
    constexpr std::string_view blanks = " \t";
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const auto word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

/// @param line of hosts(5): an address, names, and a comment
std::vector<std::string> names_in(std::string_view line) {
    line = line.substr(0, line.find('#'));
    take_word(line);
    std::vector<std::string> names;
    for (auto name = take_word(line); !name.empty(); name = take_word(line))
        names.push_back(lower_case(std::string(name)));
    return names;
}

/// Empty if it cannot be read.
std::string hosts_file() {
    // Some have long lists of hosts to avoid.
    constexpr std::size_t most = std::size_t{16} * 1024 * 1024;
    try { // caught because a machine need not have one
        const auto content = read_file("/etc/hosts", most);
        return std::string(text_of(content));
    } catch (const Error&) {
        return {};
    }
}

} // namespace

std::string host_name() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (::gethostname(name.data(), name.size()) != 0)
        return {};
    name.back() = '\0';
    return name.data();
}

std::vector<std::string> names_beside(std::string_view hosts_file, std::string_view own) {
    std::vector<std::string> others;
    while (!hosts_file.empty()) {
        const auto names = names_in(take_line(hosts_file));
        if (std::ranges::find(names, own) == names.end())
            continue;
        for (const auto& name : names)
            if (name != own && std::ranges::find(others, name) == others.end())
                others.push_back(name);
    }
    return others;
}

std::vector<std::string> host_names() {
    const auto own = lower_case(host_name());
    auto names = names_beside(hosts_file(), own);
    names.insert(names.begin(), own);
    return names;
}

} // namespace sshtpm::os
