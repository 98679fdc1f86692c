// ssh-tpm-agent: its options, and which mode they mean.

#include "applets/agent_options.hpp"

#include "applets/applets.hpp"
#include "applets/hostkeys.hpp"
#include "base/error.hpp"
#include "cli/time_span.hpp"

#include <algorithm>
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

/// For what else ssh-agent has.
cli::Option agent_refused(std::string_view names) {
    return {names, cli::every_mode, "refused: for ssh-agent", [names](char*) {
                throw Error(Errc::unsupported,
                            std::string(names.substr(0, 2)) +
                                " is about keys of PKCS#11 tokens and FIDO devices, which ssh-tpm-agent does "
                                "not hold",
                            "give it to an upstream ssh-agent (-A)");
            }};
}

std::vector<cli::Option> agent_option_table(AgentOptions& line) {
    std::vector<cli::Option> table{
        {"-a PATH", agents | printing, "the socket to listen on", cli::set(line.socket)},
        {"-l PATH", agents | printing, "the same", cli::set(line.socket)},
        {"-A PATH", agents, "an upstream agent, for the keys that this one does not have (repeatable)",
         [&line](char* path) {
             if (*path == '\0')
                 throw Error(Errc::usage, "an empty path for an upstream agent");
             line.upstreams.push_back(std::filesystem::absolute(path));
         }},
        {"--key-dir DIR", agents, "the folder of keys (default: ~/.ssh)", cli::set(line.key_dir)},
        {"--no-load", agents, "read no folder of keys", [&line](char*) { line.load = false; }},
        {"--hierarchy H", agents,
         "serve the P-256 and the RSA 2048 key that the TPM makes from the seed of its endorsement, owner, "
         "platform or null hierarchy (e, o, p, n), without files; and no folder's, unless --key-dir names "
         "one",
         [&line](char* word) { line.hierarchy = parse_hierarchy(word); }},
        {"-t TIME", agents,
         "how long a key is held that comes without a lifetime, those of the folder and those that go to "
         "upstream agents included",
         [&line](char* text) {
             line.policy.default_lifetime = seconds_of(text);
             line.key_dir_terms.lifetime = line.policy.default_lifetime;
         }},
        {"--confirm", agents,
         "ask before each use of a key of the folder or the hierarchy, by SSH_ASKPASS alone",
         cli::set(line.key_dir_terms.confirm)},
        {"--pin-lifetime TIME", agents, "forget a PIN this long after its last use",
         [&line](char* text) { set_pin_lifetime(line, text); }},
        {"--no-cache", agents, "keep no PINs: ask for each use",
         [&line](char*) { line.pin_lifetime.reset(); }},
        {"--no-seal", agents, "do not take private keys that ssh-add sends; upstream agents (-A) may",
         [&line](char*) { line.policy.seal = false; }},
        {"-D", serving, "stay in the foreground (the default)", cli::set(line.stay)},
        {"-d", agents, "the same, and log more",
         [&line](char*) {
             line.stay = true;
             line.level = log::Level::debug;
         }},
        {"-s", serving | ending,
         "go to the background and print Bourne shell commands that point to the agent: eval "
         "\"$(ssh-tpm-agent -s)\"",
         [&line](char*) { print_for(line, Shell::bourne); }},
        {"-c", serving | ending, "the same with commands for a C shell: eval `ssh-tpm-agent -c`",
         [&line](char*) { print_for(line, Shell::c); }},
        cli::mode_option("-k", ending, "end the agent that SSH_AGENT_PID names"),
        cli::mode_option("--print-socket", printing, "print the path of the socket and exit"),
        cli::mode_option("--install-user-units", agent_installing,
                         "write systemd's units of this agent into ~/.config/systemd/user, or for root into "
                         "the folder of all users' units"),
        cli::mode_option("--install-system", agent_installing, "the same, for all users",
                         cli::set(line.for_all_users)),
        {"--force", agent_installing, "overwrite units that somebody has changed", cli::set(line.force)},
        {"-E HASH", agents, "sha256: the hash of the fingerprints in questions; there is no other",
         [](char* word) {
             if (std::string_view(word) != "sha256")
                 throw Error(Errc::unsupported, "-E " + std::string(word) + ": questions name keys by SHA256",
                             "ssh-tpm-add -l -E md5 shows the other fingerprint");
         }},
        agent_refused("-O OPTION"),
        agent_refused("-P PROVIDERS"),
    };
    line.tpm.add_to(table, agents);
    return table;
}

} // namespace

int run_agent(std::span<char*> arguments) {
    AgentOptions line;
    const auto table = agent_option_table(line);
    auto parsed = cli::parse_options(arguments, table, serving, cli::Operands::end_options);
    if (parsed.help) {
        std::cout << cli::help_text(agent_usage, agent_about, table) << agent_closing;
        return 0;
    }
    if (parsed.mode == serving && !parsed.operands.empty())
        parsed.mode = for_command;
    const auto serve = [&line] { return serve_agent(line); };
    const std::vector<cli::Mode> modes{{serving, "an agent without a command", serve},
                                       {for_command, "a command", serve, true},
                                       {ending, "-k", [&line] { return kill_agent(line.shell_or_usual()); }},
                                       {printing, "--print-socket", [&line] { return print_socket(line); }},
                                       {agent_installing, "--install-user-units", [&line] {
                                            return install_user_units(line.for_all_users, line.force);
                                        }}};
    const auto& mode = cli::fitting_mode(parsed, modes);
    line.command = std::move(parsed.operands);
    cli::require_apart(parsed, "--no-load", "--key-dir");
    cli::require_apart(parsed, "--no-cache", "--pin-lifetime");
    if (!line.load && !line.hierarchy)
        cli::require_apart(parsed, "--no-load", "--confirm");
    return mode.run();
}

} // namespace sshtpm::applets
