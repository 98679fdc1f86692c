#include "ssh/sshd_settings.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace sshtpm::ssh {

namespace {

[[noreturn]] void refuse_output(const std::string& message) {
    malformed("sshd -T: " + message, "see what `sshd -T` prints");
}

/// @returns the value of a line "NAME VALUE"; nothing for a line with another name
std::optional<std::string> value_of(std::string_view line, std::string_view name) {
    if (!line.starts_with(name) || (line.size() > name.size() && line[name.size()] != ' '))
        return std::nullopt;
    const auto value = line.substr(std::min(name.size() + 1, line.size()));
    if (value.empty() || std::ranges::any_of(value, is_control))
        refuse_output('"' + printable(line, 200) + "\" has no path");
    return std::string(value);
}

} // namespace

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
