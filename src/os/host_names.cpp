// SPDX-License-Identifier: MIT
#include "os/host_names.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <climits>
#include <netdb.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

std::string lower_case(std::string name) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    return name;
}

std::vector<std::string> names_of(const hostent& entry) {
    std::vector<std::string> names{lower_case(entry.h_name)};
    for (char* const* alias = entry.h_aliases; *alias != nullptr; ++alias)
        names.push_back(lower_case(*alias));
    return names;
}

} // namespace

std::vector<std::string> host_names() {
    std::array<char, HOST_NAME_MAX + 1> buffer{};
    if (::gethostname(buffer.data(), buffer.size()) != 0)
        throw Error::from_errno(errno, "gethostname");
    buffer.back() = '\0';
    const auto own = lower_case(buffer.data());
    std::vector<std::string> all{own};
    ::sethostent(0);
    while (const auto* const entry = ::gethostent()) // reads /etc/hosts (gethostent(3))
        if (const auto names = names_of(*entry); std::ranges::find(names, own) != names.end())
            std::ranges::copy_if(names, std::back_inserter(all),
                                 [&](const auto& name) { return std::ranges::find(all, name) == all.end(); });
    ::endhostent();
    return all;
}

} // namespace sshtpm::os
