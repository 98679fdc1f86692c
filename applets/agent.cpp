// SPDX-License-Identifier: MIT
// ssh-tpm-agent: its options, and the agent in the foreground, in the background, or beside a command.

#include "agent/server.hpp"
#include "applets/agent_shell.hpp"
#include "applets/applets.hpp"
#include "applets/hostkeys.hpp"
#include "applets/openssh_link.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "cli/time_span.hpp"
#include "os/background.hpp"
#include "os/forked.hpp"
#include "os/harden.hpp"
#include "os/paths.hpp"
#include "os/secret_line.hpp"
#include "os/systemd.hpp"
#include "prompt/prompter.hpp"
#include "tpm/session.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view agent_usage =
    "usage: ssh-tpm-agent [-D | -d | -s | -c] [-a socket] [-A socket] [-t time]\n"
    "                     [--key-dir folder | --no-load]\n"
    "                     [--hierarchy endorsement | owner | platform | null]\n"
    "                     [--confirm] [--pin-lifetime time | --no-cache] [--no-seal]\n"
    "                     [--no-sandbox] [--tcti conf | --swtpm]\n"
    "                     [-o | --owner-password-file path] [command [argument ...]]\n"
    "       ssh-tpm-agent [-s | -c] -k [-a socket]\n"
    "       ssh-tpm-agent --print-socket [-a socket]\n"
    "       ssh-tpm-agent --install-user-units [--install-system] [--force]";

constexpr std::string_view agent_about =
    "Serves the TPM keys in ~/.ssh/*.tpm to ssh, as ssh-agent does: point SSH_AUTH_SOCK, or IdentityAgent in "
    "ssh_config, to its socket. Runs in the foreground and logs to stderr; with a command, runs that with "
    "SSH_AUTH_SOCK set and ends with it. A key's PIN is asked for at its first use, on the terminal of an "
    "agent in the foreground, else by SSH_ASKPASS, and kept for 30 minutes after each use, 8 hours in all; "
    "\"ssh-tpm-add --pin\" gives it beforehand. Keys that ssh-add sends are sealed into the TPM. A time is a "
    "number of seconds, or 90m, 1h30m, 2d and so on. SIGHUP reads the key folder again, and SIGUSR1 drops "
    "all keys and PINs. An agent in the foreground ends when its terminal is closed.";

constexpr std::string_view agent_closing = R"(
Environment
  SSH_TPM_AUTH_SOCK                  the socket without -a; else it is ssh-tpm-agent.sock in the first of
                                     XDG_RUNTIME_DIR, /run/user/UID and ~/.ssh/agent that exists
  SSH_TPM_AGENT_OWNER_PASSWORD       the owner password
  SSH_ASKPASS, SSH_ASKPASS_REQUIRE, DISPLAY, WAYLAND_DISPLAY
                                     the program that asks for PINs and confirmation, as for ssh-agent
  SSH_TPM_TCTI, SSH_TPM_AGENT_SWTPM, SSH_TPM_SWTPM_STATE
                                     the TPM, or the emulator and the folder of its state
)";

constexpr cli::Modes serving = 1U << 0, for_command = 1U << 1, ending = 1U << 2, printing = 1U << 3,
                     agent_installing = 1U << 4;
constexpr cli::Modes agents = serving | for_command;

struct AgentOptions {
    std::filesystem::path socket;
    std::filesystem::path key_dir;
    bool sweep = true; ///< without -U
    bool load = true;
    bool for_all_users = ::geteuid() == 0; ///< --install-system
    bool force = false;
    std::optional<Shell> shell; ///< -s or -c, which also means to go to the background, except with -k
    bool own_socket = false;    ///< without -a, the socket has the process id in its name
    bool sandbox = true;
    bool stay = false; ///< -D or -d: stay in the foreground, even with -s or -c
    log::Level level = log::Level::info;
    protocol::Constraints key_dir_terms;
    std::optional<tpm::Hierarchy> hierarchy;
    agent::KeyPolicy policy;
    std::optional<agent::PinLifetime> pin_lifetime = agent::PinLifetime{};
    std::vector<std::filesystem::path> upstreams;
    TpmOptions tpm;
    tpm::Target target; ///< from `tpm`, before the agent goes to the background
    std::vector<std::string> command;
    std::optional<UniqueFd> passed = {}; ///< the socket from systemd, until clients are served
};

/// An agent of a command, and an agent that was started as ssh-agent, has its own socket: another agent may
/// listen on the usual one, and "ssh-agent -k" must not end that.
std::filesystem::path socket_path(const AgentOptions& line) {
    if (!line.socket.empty())
        return std::filesystem::absolute(line.socket);
    return std::filesystem::absolute(line.own_socket ? os::command_socket(::getpid()) : os::default_socket());
}

/// A shell may wait for the end of this process's stderr while it runs `eval $(ssh-tpm-agent -s)`.
enum class PrompterLog { to_stderr, nowhere };

/// @param notifier for an agent in the foreground; systemd does not know one in the background
void serve(const AgentOptions& line, agent::ListeningSocket& socket, int until, os::Notifier notifier,
           PrompterLog log, const std::function<void()>& ready) {
    // The owner password is not in the environment any more, and its memory is wiped in the copy.
    const os::Companion prompter("ssh-tpm-prompt", [log](UniqueFd questions) {
        if (log == PrompterLog::nowhere)
            os::redirect_to_null({STDERR_FILENO});
        prompt::serve_questions(std::move(questions));
    });
    agent::run_server(socket,
                      {.target = line.target,
                       .owner_password = line.tpm.owner_password(),
                       .key_dir = line.load ? line.key_dir : std::filesystem::path(),
                       .key_dir_terms = line.key_dir_terms,
                       .hierarchy = line.hierarchy,
                       .policy = line.policy,
                       .upstreams = line.upstreams,
                       .pin_lifetime = line.pin_lifetime,
                       .needs_tpm = !line.passed && !notifier,
                       .prompter = prompter.socket(),
                       .sandbox = line.sandbox,
                       .until = until,
                       .notifier = std::move(notifier)},
                      ready);
}

/// Prints the commands for the shell; on a terminal, where no shell reads them, a line to copy.
void tell_of_agent_in_foreground(const AgentOptions& line, const std::filesystem::path& socket) {
    const auto shell = reading_shell(line.shell);
    if (!line.shell && ::isatty(STDOUT_FILENO) == 1) {
        auto command = set_variable("SSH_AUTH_SOCK", socket.string(), shell);
        command.pop_back();
        log::info("other shells find it with: ", printable(command));
        return;
    }
    std::cout << environment_commands(socket, ::getpid(), false, shell);
    cli::finish_printing();
}

int serve_in_foreground(AgentOptions& line) {
    auto notifier = os::Notifier::from_environment();
    if (line.passed) {
        agent::ListeningSocket socket(duplicate(line.passed->value(), "the socket from systemd"));
        serve(line, socket, -1, std::move(notifier), PrompterLog::to_stderr, [&] { line.passed.reset(); });
        return 0;
    }
    agent::ListeningSocket socket(socket_path(line), line.sweep);
    serve(line, socket, -1, std::move(notifier), PrompterLog::to_stderr,
          [&] { tell_of_agent_in_foreground(line, socket.path()); });
    return 0;
}

/// Prints the commands for the shell. If that fails the agent is ended, because the shell does not know it.
void tell_shell(const AgentOptions& line, os::BackgroundParent& parent, const std::filesystem::path& socket) {
    try { // caught to end the agent first
        std::cout << environment_commands(socket, parent.child(), true, reading_shell(line.shell));
        cli::finish_printing();
    } catch (const Error& error) {
        parent.let_end();
        throw Error(error.code(), std::string(error.what()) + "; the agent has ended", error.hint());
    }
    parent.let_live();
}

/// The exit status of a child that has found an agent of this program on its socket.
constexpr int status_running = 3;

/// Prints the commands for an agent that runs already. @returns false if there is none
bool tell_of_running_agent(const AgentOptions& line, const std::filesystem::path& socket) {
    const auto commands = commands_of_running_agent(socket, reading_shell(line.shell));
    if (commands)
        std::cout << *commands;
    return commands.has_value();
}

/// In the parent: prints the commands for the shell, or runs the command in this process.
int tell_or_become_command(const AgentOptions& line, os::BackgroundParent& parent,
                           const std::filesystem::path& socket) {
    if (const auto failure = parent.wait_until_ready())
        return *failure == status_running && tell_of_running_agent(line, socket) ? 0 : *failure;
    if (line.command.empty()) {
        tell_shell(line, parent, socket);
        return 0;
    }
    parent.let_live(); // until this process ends, even if the command cannot be run
    os::become_command(line.command, {"SSH_AUTH_SOCK=" + socket.string(),
                                      "SSH_AGENT_PID=" + std::to_string(parent.child())});
}

int serve_in_background(const AgentOptions& line, std::optional<Secret> password) {
    const auto path = socket_path(line); // before the fork, so that both processes use the same path
    if (line.tpm.asks_for_owner_password())
        throw Error(Errc::usage, "an agent in the background cannot ask for the owner password",
                    "give it with --owner-password-file, or stay in the foreground");
    auto piped = password ? os::pipe_holding(*password) : UniqueFd();
    password.reset();
    if (line.own_socket) // like ssh-agent, it logs only errors
        log::configure(log::program(), line.level == log::Level::debug ? line.level : log::Level::error);
    auto sides = os::fork_to_background();
    take_owner_password(); // in both processes, so that the command does not get it
    if (auto* parent = std::get_if<os::BackgroundParent>(&sides))
        return tell_or_become_command(line, *parent, path);
    auto& child = std::get<os::BackgroundChild>(sides);
    if (piped)
        give_owner_password(os::read_secret_line(piped, "the pipe of the owner password", tpm::max_pin));
    piped.reset();
    os::Notifier::from_environment(); // removes its variables; the command keeps them
    // An agent beside a command can report its errors only on stderr.
    const bool beside_command = !line.command.empty();
    std::optional<agent::ListeningSocket> socket;
    try { // caught because a shell may use the agent that is there
        socket.emplace(path, line.sweep);
    } catch (const Error& error) {
        if (line.own_socket || error.code() != Errc::exists ||
            !commands_of_running_agent(path, Shell::bourne))
            throw;
        return status_running;
    }
    serve(line, *socket, beside_command ? child.parent_pidfd() : -1, {},
          beside_command ? PrompterLog::to_stderr : PrompterLog::nowhere,
          [&] { child.ready(beside_command); });
    return 0;
}

int serve_agent(AgentOptions& line) {
    auto password = line.tpm.read_owner_password_file(); // while the descriptor of a <(COMMAND) is open
    line.passed = os::activated_socket();
    os::close_stray_descriptors(os::first_passed_descriptor + (line.passed ? 1 : 0));
    const bool for_shell = line.shell && !line.stay, background = for_shell || !line.command.empty();
    if (background && line.passed)
        throw Error(Errc::usage, "a socket was passed to an agent that goes to the background",
                    "systemd runs it in the foreground");
    // Before the TPM is looked for: a running agent needs neither a TPM nor options here.
    if (for_shell && !line.own_socket && tell_of_running_agent(line, socket_path(line)))
        return 0;
    line.target = line.tpm.target();
    line.load = line.load && !(line.hierarchy && line.key_dir.empty());
    if (line.load)
        line.key_dir = std::filesystem::absolute(line.key_dir.empty() ? os::ssh_folder() : line.key_dir);
    if (background)
        return serve_in_background(line, std::move(password));
    take_owner_password();
    if (password)
        give_owner_password(std::move(*password));
    return serve_in_foreground(line);
}

/// Closes the connections in the queue of a socket from systemd, so that ssh goes on to its key files. Else
/// its clients would wait for an agent that cannot start.
void turn_away_waiting_clients(AgentOptions& line) noexcept {
    try { // caught because an error is on its way already
        if (!line.passed)
            line.passed = os::activated_socket(); // an error in the options came first
        if (line.passed)
            agent::turn_away_clients(line.passed->value());
    } catch (const std::exception& error) {
        log::debug("clients in the socket's queue: ", printable(error.what()));
    }
}

std::uint32_t seconds_of(const char* text) {
    const auto time = cli::parse_time_span(text);
    if (time.count() == 0)
        throw Error(Errc::usage, "the lifetime is 0");
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

constexpr std::string_view other_keys =
                               "it is for keys of PKCS#11 tokens and FIDO devices, which ssh-tpm-agent "
                               "does not hold",
                           to_upstream = "give it to an upstream ssh-agent (-A)";

std::vector<cli::Option> agent_option_table(AgentOptions& line) {
    std::vector<cli::Option> table{
        {"-a PATH", agents | ending | printing, "the socket to listen on", cli::set(line.socket)},
        {"-l PATH", agents | ending | printing, "the same as -a", cli::set(line.socket)},
        {"-A PATH", agents, "the socket of an upstream agent, whose keys this one serves too (repeatable)",
         [&line](char* path) {
             if (*path == '\0')
                 throw Error(Errc::usage, "an empty path for an upstream agent");
             line.upstreams.push_back(std::filesystem::absolute(path));
         }},
        {"--key-dir DIR", agents, "the folder of keys (default: ~/.ssh)", cli::set(line.key_dir)},
        {"--no-load", agents, "read no folder of keys", [&line](char*) { line.load = false; }},
        {"--hierarchy H", agents,
         "serve the P-256 and the RSA 2048 key that the TPM derives from the seed of its endorsement, owner, "
         "platform or null hierarchy (e, o, p, n), and no key folder, unless --key-dir names one",
         [&line](char* word) { line.hierarchy = parse_hierarchy(word); }},
        {"-t TIME", agents,
         "the lifetime of keys that come without one, also of keys of the folder and of keys that go to "
         "upstream agents",
         [&line](char* text) {
             line.policy.default_lifetime = seconds_of(text);
             line.key_dir_terms.lifetime = line.policy.default_lifetime;
         }},
        {"--confirm", agents,
         "ask before each use of a key of the folder or the hierarchy; only an askpass program can ask",
         cli::set(line.key_dir_terms.confirm)},
        {"--confirm-loaded", agents, "the same as --confirm", cli::set(line.key_dir_terms.confirm)},
        {"--pin-lifetime TIME", agents, "forget a PIN this long after its last use",
         [&line](char* text) { set_pin_lifetime(line, text); }},
        {"--no-cache", agents, "keep no PINs: ask for each use",
         [&line](char*) { line.pin_lifetime.reset(); }},
        {"--no-seal", agents, "do not take private keys that ssh-add sends; upstream agents (-A) may",
         [&line](char*) { line.policy.seal = false; }},
        {"--no-sandbox", agents, "let the agent do all that its user may, for debugging",
         [&line](char*) { line.sandbox = false; }},
        {"-D", serving, "stay in the foreground (the default)", cli::set(line.stay)},
        {"-d", agents, "stay in the foreground and log more",
         [&line](char*) {
             line.stay = true;
             line.level = log::Level::debug;
         }},
        {"-s", serving | ending,
         "go to the background and print Bourne shell commands that point to the agent: eval "
         "\"$(ssh-tpm-agent -s)\"; if an agent listens on the socket already, print commands for that one",
         [&line](char*) { print_for(line, Shell::bourne); }},
        {"-c", serving | ending, "the same with commands for a C shell, or for fish: eval `ssh-tpm-agent -c`",
         [&line](char*) { print_for(line, Shell::c); }},
        cli::mode_option("-k", ending,
                         "end the agent that SSH_AGENT_PID names, or the one that listens on the socket"),
        cli::mode_option("--print-socket", printing, "print the path of the socket and exit"),
        cli::mode_option(
            "--install-user-units", agent_installing,
            "install the systemd units of a user's agent in ~/.config/systemd/user, or, as root, "
            "for all users"),
        cli::mode_option("--install-system", agent_installing, "the same, for all users",
                         cli::set(line.for_all_users)),
        {"--force", agent_installing, "overwrite units that were changed", cli::set(line.force)},
        {"-E HASH", agents, "sha256: the hash of the fingerprints in questions; there is no other",
         [](char* word) {
             if (std::string_view(word) != "sha256")
                 throw Error(Errc::unsupported, "-E " + std::string(word) + ": questions name keys by SHA256",
                             "`ssh-tpm-add -l -E md5` shows the other fingerprint");
         }},
        {"-U", agents, "do not remove the sockets of killed agents that ran a command",
         [&line](char*) { line.sweep = false; }},
        cli::refused_option("-O OPTION", other_keys, to_upstream),
        cli::refused_option("-P PROVIDERS", other_keys, to_upstream),
        cli::refused_option("-T",
                            "this agent puts its socket into no folder that all users may write to, such as "
                            "$TMPDIR",
                            "-a PATH chooses another socket; an agent that runs a command makes its own"),
        cli::refused_option("-u", "the next agent removes the sockets of killed agents",
                            "ssh-agent -u removes those of ssh-agent"),
    };
    line.tpm.add_to(table, agents);
    return table;
}

int run_mode(Call& call, AgentOptions& line) {
    const auto table = agent_option_table(line);
    auto parsed = or_hand_over(
        call, [&] { return cli::parse_options(call.arguments, table, serving, cli::Operands::end_options); });
    if (parsed.help)
        return show_help(call, agent_usage, agent_about, table, agent_closing);
    if (parsed.version)
        return show_version();
    if (parsed.mode == serving && !parsed.operands.empty())
        parsed.mode = for_command;
    const auto serve = [&line] { return serve_agent(line); };
    const std::vector<cli::Mode> modes{{serving, "an agent without a command", serve},
                                       {for_command, "a command", serve, true},
                                       {ending, "-k",
                                        [&line] {
                                            std::cout << end_agent(line.socket, reading_shell(line.shell));
                                            return 0;
                                        }},
                                       {printing, "--print-socket",
                                        [&line] {
                                            std::cout << socket_path(line).string() << '\n';
                                            return 0;
                                        }},
                                       {agent_installing, "--install-user-units", [&line] {
                                            return install_user_units(line.for_all_users, line.force);
                                        }}};
    const auto& mode =
        or_hand_over(call, [&]() -> const cli::Mode& { return cli::fitting_mode(parsed, modes); });
    if (call.as_openssh() && parsed.mode == ending && !variable_names_agent())
        hand_over(call, "SSH_AGENT_PID names no agent of ssh-tpm");
    if (call.as_openssh() && parsed.mode != ending)
        take_name_of_ssh_agent();
    if (call.as_openssh() && parsed.mode == serving)
        line.shell = reading_shell(line.shell);
    line.own_socket = parsed.mode == for_command || (call.as_openssh() && parsed.mode == serving);
    line.command = std::move(parsed.operands);
    cli::require_apart(parsed, "--no-load", "--key-dir");
    cli::require_apart(parsed, "--no-cache", "--pin-lifetime");
    cli::require_apart(parsed, "-o", "--owner-password-file");
    if (!line.load && !line.hierarchy)
        for (const auto* confirm : {"--confirm", "--confirm-loaded"})
            cli::require_apart(parsed, "--no-load", confirm);
    log::configure(call.name, line.level);
    return mode.run();
}

} // namespace

int run_agent(Call& call) {
    AgentOptions line;
    try { // caught for the clients that wait
        return run_mode(call, line);
    } catch (...) {
        turn_away_waiting_clients(line);
        throw;
    }
}

} // namespace sshtpm::applets
