// SPDX-License-Identifier: MIT
// The debugging output of sshd: a line that is found can be written out again as sshd would, and is found
// again.

#include "base/bytes.hpp"
#include "fuzz/target.hpp"
#include "ssh/sshd_settings.hpp"

using namespace sshtpm;

FUZZ_TARGET(sshd_lines) {
    const auto input = text_of({data, size});
    const auto lines = ssh::parse_sshd_lines(input, "HostKeyAgent");
    std::string printed;
    for (const auto& line : lines) {
        require(!line.file.empty() && input.find(line.file) != std::string_view::npos);
        require(line.value.find_first_of("\"\n") == std::string::npos);
        printed += "debug3: " + line.file + ':' + std::to_string(line.number) + " setting hostkeyagent \"" +
                   line.value + "\"\r\n";
    }
    require(ssh::parse_sshd_lines(printed, "hostkeyagent") == lines);

    const auto keys = ssh::parse_sshd_host_keys(input);
    printed.clear();
    for (const auto& key : keys)
        printed += std::string("debug1: ") + (key.is_private ? "private" : "agent") + " host key #" +
                   std::to_string(key.number) + ": " + key.type + " SHA256:x\r\n";
    require(ssh::parse_sshd_host_keys(printed) == keys);

    if (const auto line = ssh::parse_refused_line(input))
        require(input.find(line->file) != std::string_view::npos);
    if (const auto version = ssh::parse_sshd_version(input)) {
        printed = "debug1: sshd version OpenSSH_" + std::to_string(version->major) + '.' +
                  std::to_string(version->minor) + ", OpenSSL\r\n";
        require(ssh::parse_sshd_version(printed) == version);
    }
}
