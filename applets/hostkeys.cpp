// SPDX-License-Identifier: MIT
// ssh-tpm-hostkeys: its options and modes, and the list of keys.

#include "applets/hostkeys.hpp"

#include "applets/applets.hpp"
#include "applets/openssh_link.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/options.hpp"
#include "protocol/client.hpp"
#include "ssh/fingerprint.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view hostkeys_usage =
    "usage: ssh-tpm-hostkeys [--socket path]\n"
    "       ssh-tpm-hostkeys --check [--socket path]\n"
    "       ssh-tpm-hostkeys [--install-system-units] [--install-sshd-config] [--force]\n"
    "       ssh-tpm-hostkeys --uninstall [--force]";

constexpr std::string_view hostkeys_about =
    "Keeps sshd's host keys in the TPM: \"ssh-tpm-keygen -A\" makes them, a system agent serves them, and "
    "sshd's HostKeyAgent points to it. Without an option, lists the keys of that agent.";

constexpr std::string_view hostkeys_closing = R"(
Environment
  DESTDIR    a folder in place of the root of the file system; missing folders are made in it
  PREFIX     the units go to PREFIX/lib/systemd/system instead of /etc/systemd/system

Exit status
  0 success, 1 failure, or --check has found a problem, 2 wrong usage
)";

constexpr cli::Modes listing = 1U << 0, checking = 1U << 1, hostkeys_installing = 1U << 2,
                     uninstalling = 1U << 3;

} // namespace

int hostkeys_list(const std::filesystem::path& socket) {
    const auto keys = naming(socket.string(), [&] { return protocol::Client(socket).list(); });
    for (const auto& key : keys) {
        const auto description = ssh::describe(key.blob);
        std::cout << description.bits << ' ' << ssh::fingerprint(description.plain_blob) << ' '
                  << printable(key.comment) << " (" << description.label << ")\n";
    }
    if (keys.empty())
        std::cout << "The agent has no identities.\n";
    return keys.empty() ? 1 : 0;
}

int run_hostkeys(Call& call) {
    log::configure(call.name, log::Level::info);
    HostkeysOptions o;
    const std::vector<cli::Option> table{
        {"--socket PATH", listing | checking, "the agent's socket (default: /run/ssh-tpm-agent/agent.sock)",
         cli::set(o.socket)},
        cli::mode_option("--check", checking, "check that the agent signs with each host key of sshd"),
        cli::mode_option(
            "--install-system-units", hostkeys_installing,
            "install the units that make the host keys and start the agent, its user and folders",
            cli::set(o.system_units)),
        cli::mode_option("--install-sshd-config", hostkeys_installing,
                         "point sshd to the agent, in /etc/ssh/sshd_config.d", cli::set(o.sshd_config)),
        cli::mode_option("--uninstall", uninstalling,
                         "remove the files that these two options have installed"),
        {"--force", hostkeys_installing | uninstalling, "overwrite or remove files that were changed",
         cli::set(o.force)},
    };
    const auto parsed = cli::parse_options(call.arguments, table, listing);
    if (parsed.help)
        return show_help(call, hostkeys_usage, hostkeys_about, table, hostkeys_closing);
    if (parsed.version)
        return show_version();
    const std::vector<cli::Mode> modes{
        {listing, "listing keys", [&o] { return hostkeys_list(o.socket); }},
        {checking, "--check", [&o] { return hostkeys_check(o.socket); }},
        {hostkeys_installing, "--install-system-units or --install-sshd-config",
         [&o] { return hostkeys_install(o); }},
        {uninstalling, "--uninstall", [&o] { return hostkeys_uninstall(o.force); }}};
    return cli::fitting_mode(parsed, modes).run();
}

} // namespace sshtpm::applets
