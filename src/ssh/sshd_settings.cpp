// SPDX-License-Identifier: MIT
#include "ssh/sshd_settings.hpp"

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
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
        refuse_output('"' + printable(line, 200) + "\" has no path");
    return std::string(value);
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
    const auto* const end = place.data() + place.size();
    const auto [stopped, failure] = std::from_chars(place.data() + colon + 1, end, out.number);
    if (failure != std::errc() || stopped != end || colon <= prefix.size())
        return std::nullopt;
    const auto word = setting.substr(0, setting.find(' '));
    if (!same_word(word, keyword))
        return std::nullopt;
    out.file = place.substr(prefix.size(), colon - prefix.size());
    out.value = first_argument(setting.substr(word.size()));
    return out;
}

} // namespace

std::vector<SshdLine> parse_sshd_lines(std::string_view printed, std::string_view keyword) {
    std::vector<SshdLine> out;
    while (!printed.empty())
        if (auto line = parse_sshd_line(take_line(printed), keyword))
            out.push_back(std::move(*line));
    return out;
}

SshdSettings parse_sshd_settings(std::string_view printed) {
    SshdSettings out;
    bool has_agent = false;
    while (!printed.empty()) {
        const auto line = printed.substr(0, printed.find('\n'));
        printed.remove_prefix(std::min(line.size() + 1, printed.size()));
        if (auto agent = value_of(line, "hostkeyagent")) {
            if (std::exchange(has_agent, true))
                refuse_output("two lines with hostkeyagent");
            if (*agent != "none")
                out.host_key_agent = std::move(*agent);
        } else if (auto key = value_of(line, "hostkey")) {
            if (out.host_keys.size() == max_host_keys)
                refuse_output("more than " + std::to_string(max_host_keys) + " lines with hostkey");
            out.host_keys.push_back(std::move(*key));
        }
    }
    return out;
}

} // namespace sshtpm::ssh
