// SPDX-License-Identifier: MIT
#include "ssh/sshd_settings.hpp"

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace sshtpm::ssh {

namespace {

[[noreturn]] void refuse_output(const std::string& message) {
    malformed("sshd -T: " + message, "see what `sshd -T` prints");
}

bool same_word(std::string_view one, std::string_view other) {
    const auto lower = [](unsigned char c) { return std::tolower(c); };
    return std::ranges::equal(one, other, {}, lower, lower);
}

/// @returns the value of a line "NAME VALUE"; nothing for a line with another name
std::optional<std::string> value_of(std::string_view line, std::string_view name) {
    if (!same_word(line.substr(0, line.find(' ')), name))
        return std::nullopt;
    const auto value = line.substr(std::min(name.size() + 1, line.size()));
    if (value.empty() || std::ranges::any_of(value, is_control))
        refuse_output('"' + printable(line, 200) + "\" has no value");
    return std::string(value);
}

/// Takes a line "NAME VALUE" of a setting that has one value.
bool take_value(std::string_view line, std::string_view name, std::string& value) {
    auto found = value_of(line, name);
    if (!found)
        return false;
    if (!value.empty())
        refuse_output("two lines with " + std::string(name));
    value = std::move(*found);
    return true;
}

/// Takes a line "NAME VALUE" of a setting that has a line for each value.
bool take_path(std::string_view line, std::string_view name, std::vector<std::string>& paths) {
    auto found = value_of(line, name);
    if (!found)
        return false;
    if (paths.size() == max_host_keys)
        refuse_output("more than " + std::to_string(max_host_keys) + " lines with " + std::string(name));
    paths.push_back(std::move(*found));
    return true;
}

/// Parses a whole decimal number.
template <class Number>
bool parse_number(std::string_view text, Number& number) {
    const auto* const end = text.data() + text.size();
    const auto [stopped, failure] = std::from_chars(text.data(), end, number);
    return failure == std::errc() && stopped == end;
}

/// The first argument of a keyword, with or without quotation marks.
std::string first_argument(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const bool quoted = text.starts_with('"');
    if (quoted)
        text.remove_prefix(1);
    return std::string(text.substr(0, text.find_first_of(quoted ? "\"" : " \t\"")));
}

std::optional<SshdLine> parse_sshd_line(std::string_view line, std::string_view keyword) {
    constexpr std::string_view prefix = "debug3: ", marker = " setting ";
    const auto middle = line.find(marker);
    if (!line.starts_with(prefix) || middle == std::string_view::npos)
        return std::nullopt;
    const auto place = line.substr(0, middle), setting = line.substr(middle + marker.size());
    const auto colon = place.rfind(':');
    SshdLine out;
    if (colon == std::string_view::npos || colon <= prefix.size() ||
        !parse_number(place.substr(colon + 1), out.number))
        return std::nullopt;
    const auto word = setting.substr(0, setting.find(' '));
    if (!same_word(word, keyword))
        return std::nullopt;
    out.file = place.substr(prefix.size(), colon - prefix.size());
    out.value = first_argument(setting.substr(word.size()));
    return out;
}

std::optional<SshdHostKey> parse_sshd_host_key(std::string_view line) {
    constexpr std::string_view by_file = "debug1: private host key #", by_agent = "debug1: agent host key #";
    SshdHostKey out{.is_private = line.starts_with(by_file), .type = {}};
    if (!out.is_private && !line.starts_with(by_agent))
        return std::nullopt;
    line.remove_prefix(out.is_private ? by_file.size() : by_agent.size());
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos || !parse_number(line.substr(0, colon), out.number))
        return std::nullopt;
    line.remove_prefix(colon + 2);
    out.type = line.substr(0, line.find(' '));
    return out.type.empty() ? std::nullopt : std::optional(std::move(out));
}

} // namespace

std::vector<SshdLine> parse_sshd_lines(std::string_view printed, std::string_view keyword) {
    std::vector<SshdLine> out;
    while (!printed.empty())
        if (auto line = parse_sshd_line(take_line(printed), keyword))
            out.push_back(std::move(*line));
    return out;
}

std::optional<SshdLine> parse_refused_line(std::string_view printed) {
    constexpr std::string_view marker = " line ";
    while (!printed.empty()) {
        const auto line = take_line(printed);
        const auto middle = line.find(marker);
        if (!line.starts_with('/') || middle == std::string_view::npos ||
            line.find("Deprecated option") != line.npos || line.find("Unsupported option") != line.npos)
            continue;
        const auto number = line.substr(middle + marker.size());
        SshdLine out{.file = std::string(line.substr(0, middle)), .value = {}};
        if (out.file.ends_with(':'))
            out.file.pop_back();
        if (parse_number(number.substr(0, number.find_first_not_of("0123456789")), out.number))
            return out;
    }
    return std::nullopt;
}

std::vector<SshdHostKey> parse_sshd_host_keys(std::string_view printed) {
    std::vector<SshdHostKey> out;
    while (!printed.empty())
        if (auto key = parse_sshd_host_key(take_line(printed)))
            out.push_back(std::move(*key));
    return out;
}

std::optional<SshdVersion> parse_sshd_version(std::string_view printed) {
    auto number = value_in(printed, "debug1: sshd version OpenSSH_");
    number = number.substr(0, number.find_first_not_of("0123456789."));
    const auto dot = number.find('.');
    SshdVersion out;
    if (dot == std::string_view::npos || !parse_number(number.substr(0, dot), out.major) ||
        !parse_number(number.substr(dot + 1), out.minor))
        return std::nullopt;
    return out;
}

bool is_listed(std::string_view name, std::string_view names) {
    while (!names.empty())
        if (take_item(names, ',') == name)
            return true;
    return false;
}

SshdSettings parse_sshd_settings(std::string_view printed) {
    SshdSettings out;
    while (!printed.empty()) {
        const auto line = printed.substr(0, printed.find('\n'));
        printed.remove_prefix(std::min(line.size() + 1, printed.size()));
        take_value(line, "hostkeyagent", out.host_key_agent) ||
            take_value(line, "hostkeyalgorithms", out.host_key_algorithms) ||
            take_value(line, "pidfile", out.pid_file) || take_path(line, "hostkey", out.host_keys) ||
            take_path(line, "hostcertificate", out.host_certificates);
    }
    for (auto* const path : {&out.host_key_agent, &out.pid_file})
        if (*path == "none")
            path->clear();
    return out;
}

} // namespace sshtpm::ssh
