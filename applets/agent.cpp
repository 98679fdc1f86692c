// ssh-tpm-agent: its options, and the server they start.

#include "agent/server.hpp"
#include "applets/applets.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "os/paths.hpp"

#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view usage =
    "usage: ssh-tpm-agent [-D | -d] [-a socket] [--key-dir folder | --no-load] [--tcti conf | --swtpm]\n"
    "       ssh-tpm-agent --print-socket";

constexpr std::string_view about =
    "Serves the TPM keys in ~/.ssh/*.tpm to ssh, as ssh-agent does: point SSH_AUTH_SOCK, or IdentityAgent in "
    "ssh_config, to its socket. Runs in the foreground and logs to stderr. A key's PIN is asked for at its "
    "first use, by SSH_ASKPASS or on the terminal, as ssh does it.";

struct CommandLine {
    std::filesystem::path socket = os::default_socket();
    std::filesystem::path key_dir;
    bool load = true;
    bool print_socket = false;
    log::Level level = log::Level::info;
    TpmOptions tpm;
};

std::vector<cli::Option> option_table(CommandLine& line) {
    const auto set_socket = [&line](char* path) { line.socket = path; };
    std::vector<cli::Option> table{
        {.short_name = 'a', .argument = "PATH", .help = "the socket to listen on", .apply = set_socket},
        {.short_name = 'l', .argument = "PATH", .help = "the same", .apply = set_socket},
        {.long_name = "print-socket",
         .help = "print the path of the socket and exit",
         .apply = [&line](char*) { line.print_socket = true; }},
        {.long_name = "key-dir",
         .argument = "DIR",
         .help = "the folder of keys (default: ~/.ssh)",
         .apply = [&line](char* folder) { line.key_dir = folder; }},
        {.long_name = "no-load", .help = "load no keys", .apply = [&line](char*) { line.load = false; }},
        {.short_name = 'D', .help = "stay in the foreground (the default)", .apply = [](char*) {}},
        {.short_name = 'd',
         .help = "the same, and log more",
         .apply = [&line](char*) { line.level = log::Level::debug; }},
    };
    line.tpm.add_to(table);
    return table;
}

/// For a Bourne shell to read back, whatever characters it has.
std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// What ssh-agent -D prints: for a shell to evaluate.
void print_environment(const std::filesystem::path& socket) {
    const auto path = std::filesystem::absolute(socket).string();
    const bool plain =
        path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:") ==
        std::string::npos;
    std::cout << "SSH_AUTH_SOCK=" << (plain ? path : quoted(path)) << "; export SSH_AUTH_SOCK;\n"
              << "echo Agent pid " << ::getpid() << ";\n"
              << std::flush;
}

} // namespace

int run_agent(std::span<char*> arguments) {
    CommandLine line;
    const auto table = option_table(line);
    const auto parsed = cli::parse_options(arguments, table, cli::Operands::end_options);
    if (parsed.help) {
        std::cout << cli::help_text(usage, about, table);
        return 0;
    }
    if (!parsed.operands.empty())
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[0] + "\"");
    if (line.print_socket) {
        std::cout << std::filesystem::absolute(line.socket).string() << '\n';
        return 0;
    }
    log::configure("ssh-tpm-agent", line.level);
    if (line.load && line.key_dir.empty())
        line.key_dir = os::ssh_folder();
    agent::run_server({.target = line.tpm.target(),
                       .owner_password = line.tpm.owner_password(),
                       .socket = line.socket,
                       .key_dir = line.load ? line.key_dir : std::filesystem::path()},
                      [&line] { print_environment(line.socket); });
    return 0;
}

} // namespace sshtpm::applets
