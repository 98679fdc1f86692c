// SPDX-License-Identifier: MIT
// ssh-tpm-hostkeys: its options and modes, and the list of keys.

#include "applets/hostkeys.hpp"

#include "applets/add.hpp"
#include "applets/applets.hpp"
#include "applets/host_units.hpp"
#include "applets/openssh_link.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/options.hpp"
#include "os/sandbox.hpp"
#include "protocol/client.hpp"

namespace sshtpm::applets {

namespace {

constexpr std::string_view hostkeys_usage =
    "usage: ssh-tpm-hostkeys [--socket path | --hierarchy endorsement|owner|platform|null]\n"
    "       ssh-tpm-hostkeys --check [--json] [--socket path | --hierarchy hierarchy]\n"
    "       ssh-tpm-hostkeys [--install-system-units] [--install-sshd-config] [--force]\n"
    "                        [--hierarchy hierarchy]\n"
    "       ssh-tpm-hostkeys --uninstall [--force]\n"
    "       ssh-tpm-hostkeys --renew [--yes] [--hierarchy hierarchy]";

constexpr std::string_view hostkeys_about =
    "Keeps sshd's host keys in the TPM: \"ssh-tpm-keygen -A\" makes them, a system agent serves them, and "
    "sshd's HostKeyAgent points to it. Without an option, lists the keys of that agent.";

constexpr std::string_view hostkeys_closing = R"(
Environment
  DESTDIR    a folder in place of the root of the file system; missing folders are made in it
  PREFIX     the units go to PREFIX/lib/systemd/system instead of /etc/systemd/system

Exit status
  0 success, 1 failure, 2 wrong usage; --check: 0 all is well, 1 something does
  not work, 3 all works, with warnings
)";

constexpr cli::Modes listing = 1U << 0, checking = 1U << 1, hostkeys_installing = 1U << 2,
                     uninstalling = 1U << 3, renewing = 1U << 4;

} // namespace

int hostkeys_list(const std::filesystem::path& socket) {
    os::give_up_network();
    try { // caught to add the hint
        protocol::Client agent(socket);
        return add_fingerprints(agent, {});
    } catch (const Error& error) {
        throw Error(error.code(), error.what(),
                    error.hint().empty() && is_host_agent_socket(socket)
                        ? hint_for_agent(socket, error.code())
                        : error.hint());
    }
}

int hostkeys_check(const HostkeysOptions& options) {
    cli::Findings findings(options.json ? cli::Findings::Format::json : cli::Findings::Format::lines);
    check_host_keys(findings, options.socket);
    return findings.finish();
}

int run_hostkeys(Call& call) {
    log::configure(call.name, log::Level::info);
    HostkeysOptions o;
    std::vector<cli::Option> table{
        {"--socket PATH", listing | checking,
         "the agent's socket (default: /run/ssh-tpm-agent/agent.sock); --check takes the one in sshd's "
         "configuration, if it is in that folder",
         cli::set(o.socket)},
        {"--hierarchy H", listing | checking | hostkeys_installing | renewing,
         "the agent for host keys of the endorsement, owner, platform or null hierarchy (e, o, p, n), "
         "such as /run/ssh-tpm-agent/endorsement.sock",
         [&o](char* word) { o.hierarchy = parse_hierarchy(word); }},
        cli::mode_option("--check", checking,
                         "check sshd's configuration, the agent, and each host key and certificate"),
        {"--json", checking, "print the results as a JSON object", cli::set(o.json)},
        cli::mode_option(
            "--install-system-units", hostkeys_installing,
            "install the units that make the host keys and start the agent, its user and folders",
            cli::set(o.system_units)),
        cli::mode_option("--install-sshd-config", hostkeys_installing,
                         "have sshd use the agent, the host keys and their certificates, in "
                         "/etc/ssh/sshd_config.d; run it again when a certificate has come",
                         cli::set(o.sshd_config)),
        cli::mode_option("--uninstall", uninstalling,
                         "remove the files that these two options have installed"),
        {"--force", hostkeys_installing | uninstalling, "overwrite or remove files that were changed",
         cli::set(o.force)},
        cli::mode_option("--renew", renewing,
                         "after the TPM was cleared: accept its new storage key, and replace dead host keys"),
        {"--yes", renewing, "do not ask", cli::set(o.yes)},
    };
    o.tpm.add_to(table, renewing);
    const auto parsed = cli::parse_options(call.arguments, table, listing);
    if (parsed.help)
        return show_help(call, hostkeys_usage, hostkeys_about, table, hostkeys_closing);
    if (parsed.version)
        return show_version();
    cli::require_apart(parsed, "--socket", "--hierarchy");
    os::give_up_new_privileges();
    if (o.hierarchy)
        o.socket = host_agent_socket(o.hierarchy);
    const std::vector<cli::Mode> modes{
        {listing, "listing keys", [&o] { return hostkeys_list(o.socket.value_or(system_socket)); }},
        {checking, "--check", [&o] { return hostkeys_check(o); }},
        {hostkeys_installing, "--install-system-units or --install-sshd-config",
         [&o] { return hostkeys_install(o); }},
        {uninstalling, "--uninstall", [&o] { return hostkeys_uninstall(o.force); }},
        {renewing, "--renew", [&o] { return hostkeys_renew(o); }}};
    return cli::fitting_mode(parsed, modes).run();
}

} // namespace sshtpm::applets
