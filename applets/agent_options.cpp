#include "applets/agent_options.hpp"

#include "base/error.hpp"
#include "cli/time_span.hpp"

#include <algorithm>
#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view agent_usage =
    "usage: ssh-tpm-agent [-D | -d | -s | -c] [-a socket] [-A socket] [-t time]\n"
    "                     [--key-dir folder | --no-load]\n"
    "                     [--hierarchy endorsement | owner | platform | null]\n"
    "                     [--confirm] [--pin-lifetime time | --no-cache] [--no-seal]\n"
    "                     [--tcti conf | --swtpm] [-o] [command [argument ...]]\n"
    "       ssh-tpm-agent [-s | -c] -k\n"
    "       ssh-tpm-agent --print-socket [-a socket]\n"
    "       ssh-tpm-agent --install-user-units [--install-system] [--force]";

constexpr std::string_view agent_about =
    "Serves the TPM keys in ~/.ssh/*.tpm to ssh, as ssh-agent does: point SSH_AUTH_SOCK, or IdentityAgent in "
    "ssh_config, to its socket. Runs in the foreground and logs to stderr; with a command, runs that with "
    "SSH_AUTH_SOCK set and ends with it. A key's PIN is asked for at its first use, on the terminal of an "
    "agent in the foreground, else by SSH_ASKPASS, and kept for 30 minutes after each use, 8 hours in all; "
    "\"ssh-tpm-add --pin\" gives it beforehand. Keys that ssh-add sends are sealed into the TPM. A time is a "
    "number of seconds, or as 90m, 1h30m, 2d. SIGHUP reads the key folder again, SIGUSR1 drops all keys and "
    "PINs, and the end of its terminal ends it.";

constexpr std::string_view agent_closing = R"(
Environment
  SSH_TPM_AUTH_SOCK                  the socket without -a; else ssh-tpm-agent.sock in XDG_RUNTIME_DIR,
                                     /run/user/UID or ~/.ssh/agent, the first that is there
  SSH_TPM_AGENT_OWNER_PASSWORD       the owner password
  SSH_ASKPASS, SSH_ASKPASS_REQUIRE, DISPLAY, WAYLAND_DISPLAY
                                     who asks for PINs and confirmation, as for ssh-agent
  SSH_TPM_TCTI, SSH_TPM_AGENT_SWTPM, SSH_TPM_SWTPM_STATE
                                     the TPM, or the emulator and the folder of its state
)";

constexpr cli::Modes serving = 1U << 0, for_command = 1U << 1, ending = 1U << 2, printing = 1U << 3,
                     agent_installing = 1U << 4;
constexpr cli::Modes agents = serving | for_command;
constexpr std::array agent_modes{cli::Mode{serving, "an agent without a command"},
                                 cli::Mode{for_command, "a command", true}, cli::Mode{ending, "-k"},
                                 cli::Mode{printing, "--print-socket"},
                                 cli::Mode{agent_installing, "--install-user-units"}};

cli::Modes mode_of(const AgentOptions& line) {
    switch (line.mode.chosen()) {
    case AgentMode::kill:
        return ending;
    case AgentMode::print_socket:
        return printing;
    case AgentMode::install_units:
        return agent_installing;
    case AgentMode::serve:
        break;
    }
    return line.command.empty() ? serving : for_command;
}

std::uint32_t seconds_of(const char* text) {
    const auto time = cli::parse_time_span(text);
    if (time.count() == 0)
        throw Error(Errc::usage, "a lifetime of 0");
    return static_cast<std::uint32_t>(time.count()); // 2^31 - 1 at most
}

void set_pin_lifetime(AgentOptions& line, const char* text) {
    agent::PinLifetime lifetime;
    lifetime.idle = std::chrono::seconds(seconds_of(text));
    lifetime.total = std::max(lifetime.total, lifetime.idle);
    line.pin_lifetime = lifetime;
}

void print_for(AgentOptions& line, Shell shell) {
    if (line.shell && *line.shell != shell)
        throw Error(Errc::usage, "-c and -s are for different shells");
    line.shell = shell;
}

std::vector<cli::Option> agent_mode_options(AgentOptions& line) {
    return {
        {.short_name = 'D',
         .modes = serving,
         .help = "stay in the foreground (the default)",
         .apply = [&line](char*) { line.stay = true; }},
        {.short_name = 'd',
         .modes = agents,
         .help = "the same, and log more",
         .apply =
             [&line](char*) {
                 line.stay = true;
                 line.level = log::Level::debug;
             }},
        {.short_name = 's',
         .modes = serving | ending,
         .help = "go to the background and print Bourne shell commands that point to the agent: "
                 "eval \"$(ssh-tpm-agent -s)\"",
         .apply = [&line](char*) { print_for(line, Shell::bourne); }},
        {.short_name = 'c',
         .modes = serving | ending,
         .help = "the same with commands for a C shell: eval `ssh-tpm-agent -c`",
         .apply = [&line](char*) { print_for(line, Shell::c); }},
        {.short_name = 'k',
         .modes = ending,
         .help = "end the agent that SSH_AGENT_PID names",
         .apply = [&line](char*) { line.mode.choose(AgentMode::kill); }},
        {.long_name = "print-socket",
         .modes = printing,
         .help = "print the path of the socket and exit",
         .apply = [&line](char*) { line.mode.choose(AgentMode::print_socket); }},
        {.long_name = "install-user-units",
         .modes = agent_installing,
         .help =
             "write systemd's units of this agent into ~/.config/systemd/user, or for root into the folder "
             "of all users' units",
         .apply = [&line](char*) { line.mode.choose(AgentMode::install_units); }},
        {.long_name = "install-system",
         .modes = agent_installing,
         .help = "the same, for all users",
         .apply =
             [&line](char*) {
                 line.mode.choose(AgentMode::install_units);
                 line.for_all_users = true;
             }},
        {.long_name = "force",
         .modes = agent_installing,
         .help = "overwrite units that somebody has changed",
         .apply = [&line](char*) { line.force = true; }},
    };
}

std::vector<cli::Option> key_options(AgentOptions& line) {
    return {
        {.long_name = "key-dir",
         .argument = "DIR",
         .modes = agents,
         .help = "the folder of keys (default: ~/.ssh)",
         .apply = [&line](char* folder) { line.key_dir = folder; }},
        {.long_name = "no-load",
         .modes = agents,
         .help = "read no folder of keys",
         .apply = [&line](char*) { line.load = false; }},
        {.long_name = "hierarchy",
         .argument = "H",
         .modes = agents,
         .help = "serve the P-256 and the RSA 2048 key that the TPM makes from the seed of its endorsement, "
                 "owner, platform or null hierarchy (e, o, p, n), without files; and no folder's, unless "
                 "--key-dir names one",
         .apply = [&line](char* word) { line.hierarchy = parse_hierarchy(word); }},
        {.short_name = 't',
         .argument = "TIME",
         .modes = agents,
         .help =
             "how long a key is held that comes without a lifetime, those of the folder and those that go to "
             "the agents behind this one included",
         .apply =
             [&line](char* text) {
                 line.policy.default_lifetime = seconds_of(text);
                 line.key_dir_terms.lifetime = line.policy.default_lifetime;
             }},
        {.long_name = "confirm",
         .modes = agents,
         .help = "ask before each use of a key of the folder or the hierarchy, by SSH_ASKPASS alone",
         .apply = [&line](char*) { line.key_dir_terms.confirm = true; }},
        {.long_name = "pin-lifetime",
         .argument = "TIME",
         .modes = agents,
         .help = "forget a PIN this long after its last use",
         .apply = [&line](char* text) { set_pin_lifetime(line, text); }},
        {.long_name = "no-cache",
         .modes = agents,
         .help = "keep no PINs: ask for each use",
         .apply = [&line](char*) { line.pin_lifetime.reset(); }},
        {.long_name = "no-seal",
         .modes = agents,
         .help = "do not take private keys that ssh-add sends; those behind this one (-A) may",
         .apply = [&line](char*) { line.policy.seal = false; }},
    };
}

/// What else ssh-agent has.
std::vector<cli::Option> agent_foreign_options() {
    const auto refuse = [](std::string_view letter, std::string_view what) {
        return [letter, what](char*) {
            throw Error(Errc::unsupported,
                        "-" + std::string(letter) + " is about keys of " + std::string(what) +
                            ", which ssh-tpm-agent does not hold",
                        "give it to the ssh-agent behind this one (-A)");
        };
    };
    constexpr std::string_view refused = "refused: for ssh-agent";
    constexpr std::string_view tokens = "PKCS#11 tokens and FIDO devices";
    return {
        {.short_name = 'E',
         .argument = "HASH",
         .modes = agents,
         .help = "sha256: the hash of the fingerprints in questions; there is no other",
         .apply =
             [](char* word) {
                 if (std::string_view(word) != "sha256")
                     throw Error(Errc::unsupported,
                                 "-E " + std::string(word) + ": questions name keys by SHA256",
                                 "ssh-tpm-add -l -E md5 shows the other fingerprint");
             }},
        {.short_name = 'O',
         .argument = "OPTION",
         .modes = cli::every_mode,
         .help = refused,
         .apply = refuse("O", tokens)},
        {.short_name = 'P',
         .argument = "PROVIDERS",
         .modes = cli::every_mode,
         .help = refused,
         .apply = refuse("P", tokens)},
    };
}

std::vector<cli::Option> agent_option_table(AgentOptions& line) {
    const auto set_socket = [&line](char* path) { line.socket = path; };
    std::vector<cli::Option> table{
        {.short_name = 'a',
         .argument = "PATH",
         .modes = agents | printing,
         .help = "the socket to listen on",
         .apply = set_socket},
        {.short_name = 'l',
         .argument = "PATH",
         .modes = agents | printing,
         .help = "the same",
         .apply = set_socket},
        {.short_name = 'A',
         .argument = "PATH",
         .modes = agents,
         .help = "another agent behind this one, for the keys that this one does not have (repeatable)",
         .apply =
             [&line](char* path) {
                 if (*path == '\0')
                     throw Error(Errc::usage, "an empty path for an agent behind this one");
                 line.upstreams.push_back(std::filesystem::absolute(path));
             }},
    };
    std::ranges::move(key_options(line), std::back_inserter(table));
    std::ranges::move(agent_mode_options(line), std::back_inserter(table));
    std::ranges::move(agent_foreign_options(), std::back_inserter(table));
    line.tpm.add_to(table, agents);
    return table;
}

} // namespace

std::optional<AgentOptions> parse_agent_options(std::span<char*> arguments) {
    AgentOptions line;
    const auto table = agent_option_table(line);
    const auto parsed = cli::parse_options(arguments, table, cli::Operands::end_options);
    if (parsed.help) {
        std::cout << cli::help_text(agent_usage, agent_about, table) << agent_closing;
        return std::nullopt;
    }
    line.command = parsed.operands;
    cli::require_fit(parsed, mode_of(line), agent_modes);
    cli::require_apart(parsed, "--no-load", "--key-dir");
    cli::require_apart(parsed, "--no-cache", "--pin-lifetime");
    if (!line.load && !line.hierarchy)
        cli::require_apart(parsed, "--no-load", "--confirm");
    return line;
}

} // namespace sshtpm::applets
