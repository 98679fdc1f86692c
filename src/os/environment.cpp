// SPDX-License-Identifier: MIT
#include "os/environment.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace sshtpm::os {

namespace {

std::string_view name_of(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

} // namespace

std::optional<std::string> variable(const char* name) {
    const char* value = ::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::optional<std::string> take_variable(const char* name) {
    auto value = variable(name);
    ::unsetenv(name);
    return value;
}

bool has_variable(const char* name) {
    const char* value = ::getenv(name); // not copied: it may be a secret
    return value != nullptr && *value != '\0';
}

std::optional<std::string> find_program(std::string_view name, std::string_view more,
                                        const std::function<bool(const std::string& path)>& accept) {
    const auto folders = variable("PATH").value_or("").append(":").append(more);
    for (std::string_view rest = folders; !rest.empty();) {
        const auto folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
        auto path = std::string(folder).append("/").append(name);
        std::error_code ignored;
        if (folder.starts_with('/') && std::filesystem::is_regular_file(path, ignored) &&
            ::access(path.c_str(), X_OK) == 0 && accept(path))
            return path;
    }
    return std::nullopt;
}

std::optional<Secret> take_secret_variable(const char* name) {
    std::optional<Secret> secret;
    // A name may occur several times. unsetenv removes all of them, but leaves their bytes in memory.
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const auto named = name_of(*entry);
        if (named != name || (*entry)[named.size()] != '=')
            continue;
        char* const value = *entry + named.size() + 1;
        if (!secret)
            secret = Secret::copy_of(bytes_of(value));
        ::explicit_bzero(value, std::strlen(value));
    }
    ::unsetenv(name);
    return secret;
}

std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
    std::vector<std::string> out;
    for (const auto& change : changes)
        if (change.find('=') != std::string::npos)
            out.push_back(change);
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view inherited = *entry;
        const bool changed =
            std::ranges::any_of(changes, [&](const auto& c) { return name_of(c) == name_of(inherited); });
        if (!changed)
            out.emplace_back(inherited);
    }
    return out;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (auto& string : strings)
        out.push_back(string.data());
    out.push_back(nullptr);
    return out;
}

} // namespace sshtpm::os
