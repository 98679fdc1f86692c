// ssh-tpm-hostkeys: its options, and the list.

#include "applets/hostkeys.hpp"

#include "applets/applets.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/choice.hpp"
#include "cli/options.hpp"
#include "protocol/client.hpp"
#include "ssh/fingerprint.hpp"

#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view hostkeys_usage =
    "usage: ssh-tpm-hostkeys [--socket path]\n"
    "       ssh-tpm-hostkeys --check [--socket path]\n"
    "       ssh-tpm-hostkeys [--install-system-units] [--install-sshd-config] [--force]\n"
    "       ssh-tpm-hostkeys --uninstall [--force]";

constexpr std::string_view hostkeys_about =
    "Keeps sshd's host keys in the TPM: \"ssh-tpm-keygen -A\" makes them, an agent of the system serves "
    "them, and sshd's HostKeyAgent points to it. Without an option, lists the keys of that agent.";

constexpr std::string_view hostkeys_closing = R"(
Environment
  DESTDIR    in front of every path that is written: another system's tree, in which folders are made
  PREFIX     the units go to PREFIX/lib/systemd/system and not to /etc/systemd/system

Exit status
  0 success, 1 a problem was found, or something failed, 2 wrong usage
)";

constexpr cli::Modes listing = 1U << 0, checking = 1U << 1, hostkeys_installing = 1U << 2,
                     uninstalling = 1U << 3;
using HostkeysMode = cli::RunnableMode<int(const HostkeysOptions&)>;
constexpr std::array hostkeys_modes{
    HostkeysMode{{listing, "listing keys"}, hostkeys_list},
    HostkeysMode{{checking, "--check"}, hostkeys_check},
    HostkeysMode{{hostkeys_installing, "--install-system-units or --install-sshd-config"}, hostkeys_install},
    HostkeysMode{{uninstalling, "--uninstall"}, hostkeys_uninstall}};

} // namespace

int hostkeys_list(const HostkeysOptions& options) {
    const auto keys = protocol::Client(options.socket).list();
    for (const auto& key : keys) {
        const auto description = ssh::describe(key.blob);
        std::cout << description.bits << ' ' << ssh::fingerprint(description.plain_blob) << ' '
                  << printable(key.comment) << " (" << description.label << ")\n";
    }
    if (keys.empty())
        std::cout << "The agent has no identities.\n";
    return keys.empty() ? 1 : 0;
}

int run_hostkeys(std::span<char*> arguments) {
    HostkeysOptions o;
    cli::Choice<cli::Modes> mode(listing);
    const auto flag = [](bool& value) { return [&value](char*) { value = true; }; };
    const auto install = [&mode](bool& what) {
        return [&mode, &what](char*) {
            mode.choose(hostkeys_installing);
            what = true;
        };
    };
    const std::vector<cli::Option> table{
        {.long_name = "socket",
         .argument = "PATH",
         .modes = listing | checking,
         .help = "the agent's socket (default: /run/ssh-tpm-agent/agent.sock)",
         .apply = [&o](char* path) { o.socket = path; }},
        {.long_name = "check",
         .modes = checking,
         .help = "ask sshd for its host keys, and see whether the agent signs with each of them",
         .apply = [&mode](char*) { mode.choose(checking); }},
        {.long_name = "install-system-units",
         .modes = hostkeys_installing,
         .help = "write the units of the agent and of the key generation, its user and its folders",
         .apply = install(o.system_units)},
        {.long_name = "install-sshd-config",
         .modes = hostkeys_installing,
         .help = "point sshd to the agent, in /etc/ssh/sshd_config.d",
         .apply = install(o.sshd_config)},
        {.long_name = "uninstall",
         .modes = uninstalling,
         .help = "remove what the two have written",
         .apply = [&mode](char*) { mode.choose(uninstalling); }},
        {.long_name = "force",
         .modes = hostkeys_installing | uninstalling,
         .help = "overwrite or remove files that somebody has changed",
         .apply = flag(o.force)},
    };
    const auto parsed = cli::parse_options(arguments, table);
    if (parsed.help) {
        std::cout << cli::help_text(hostkeys_usage, hostkeys_about, table) << hostkeys_closing;
        return 0;
    }
    return cli::fitting(parsed, mode.chosen(), hostkeys_modes)(o);
}

} // namespace sshtpm::applets
