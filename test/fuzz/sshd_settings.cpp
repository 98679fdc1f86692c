// SPDX-License-Identifier: MIT
// What sshd -T prints: what is found in it is written out again as sshd would, and found again.

#include "ssh/sshd_settings.hpp"

#include "base/bytes.hpp"
#include "fuzz/target.hpp"

#include <algorithm>

using namespace sshtpm;

namespace {

std::string print(const ssh::SshdSettings& settings) {
    std::string out = "hostkeyagent " + (settings.host_key_agent.empty() ? "none" : settings.host_key_agent);
    for (const auto& key : settings.host_keys)
        out += "\nhostkey " + key;
    for (const auto& certificate : settings.host_certificates)
        out += "\nhostcertificate " + certificate;
    if (!settings.host_key_algorithms.empty())
        out += "\nhostkeyalgorithms " + settings.host_key_algorithms;
    if (!settings.pid_file.empty())
        out += "\npidfile " + settings.pid_file;
    return out;
}

} // namespace

FUZZ_TARGET(sshd_settings) {
    const auto input = text_of({data, size});
    try {
        const auto settings = ssh::parse_sshd_settings(input);
        require(settings.host_keys.size() <= ssh::max_host_keys &&
                settings.host_certificates.size() <= ssh::max_host_keys);
        for (auto names = std::string_view(settings.host_key_algorithms); !names.empty();) {
            const auto name = names.substr(0, names.find(','));
            require(ssh::is_listed(name, settings.host_key_algorithms) || name.empty());
            names.remove_prefix(std::min(name.size() + 1, names.size()));
        }
        for (const auto& key : settings.host_keys)
            require(!key.empty() && input.find(' ' + key) != std::string_view::npos);
        require(ssh::parse_sshd_settings(print(settings)) == settings);
        require(ssh::parse_sshd_settings(print(settings) + '\n') == settings);
    } catch (const Error& error) {
        require(error.code() == Errc::malformed);
    }
}
