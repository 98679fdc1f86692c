// ssh-tpm-add: its options, which agent they are for, and which mode they mean.

#include "applets/add.hpp"

#include "applets/applets.hpp"
#include "applets/hash_option.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/choice.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "cli/time_span.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <algorithm>
#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view add_program = "ssh-tpm-add";

constexpr std::string_view add_usage =
    R"(usage: ssh-tpm-add [-cqv] [-C | -k] [-t time] [-h destination [-H known_hosts]] [--pin] [file ...]
       ssh-tpm-add -d [-C | -k] [-q] [file ...]
       ssh-tpm-add -D [-q]
       ssh-tpm-add -l [-E sha256|md5] | -L | -Q
       ssh-tpm-add -T pubkey ...
       ssh-tpm-add -x | -X)";

constexpr std::string_view add_about =
    "Adds TPM keys to a running ssh-tpm-agent, as ssh-add does with ordinary ones: FILE.tpm, named with its "
    "ending or without, and the certificate FILE-cert.pub when there is one. Without a file: "
    "~/.ssh/id_ecdsa.tpm and ~/.ssh/id_rsa.tpm. The other modes, except -x and -X, work with any "
    "agent. Keys, PINs and passwords are sent only to an agent of the same user or of root.";

constexpr std::string_view add_closing = R"(
Files
  ~/.ssh/id_ecdsa.tpm, id_rsa.tpm    what is added without a file
  FILE-cert.pub                      the certificate of the key in FILE.tpm
  ~/.ssh/known_hosts, known_hosts2, /etc/ssh/ssh_known_hosts, ssh_known_hosts2
                                     the host keys for -h

Environment
  SSH_TPM_AUTH_SOCK, else SSH_AUTH_SOCK
                                     the agent's socket; without both it is looked for where
                                     "ssh-tpm-agent --print-socket" says
  SSH_ASKPASS, SSH_ASKPASS_REQUIRE   who asks for PINs and passwords, as for ssh-add

Exit status
  0 success, 1 something failed or the agent has no keys (-l, -L), 2 no agent there, or wrong usage

Examples
  ssh-tpm add                                  the keys of ~/.ssh
  ssh-tpm add -t 1h -c ~/.ssh/work             for an hour, and each use has to be confirmed
  ssh-tpm add --pin                            the PIN now, here, rather than at the first login
  ssh-tpm add -h gateway -h 'gateway>me@inner' ~/.ssh/work
                                               to log in to gateway and, from there, to inner; nowhere else
  ssh-tpm add -d ~/.ssh/work                   take it out of the agent
)";

constexpr cli::Modes adding = 1U << 0, removing = 1U << 1, removing_all = 1U << 2, fingerprints = 1U << 3,
                     public_keys = 1U << 4, extensions = 1U << 5, testing = 1U << 6, locking = 1U << 7,
                     unlocking = 1U << 8;
using AddMode = cli::RunnableMode<int(protocol::Client&, const AddOptions&)>;
constexpr std::array add_modes{AddMode{{adding, "adding keys", true}, add_keys},
                               AddMode{{removing, "-d", true}, add_remove},
                               AddMode{{removing_all, "-D"}, add_remove_all},
                               AddMode{{fingerprints, "-l"}, add_fingerprints},
                               AddMode{{public_keys, "-L"}, add_public_keys},
                               AddMode{{extensions, "-Q"}, add_query},
                               AddMode{{testing, "-T", true}, add_test},
                               AddMode{{locking, "-x"}, add_lock},
                               AddMode{{unlocking, "-X"}, add_unlock}};

struct AddCommandLine {
    cli::Choice<cli::Modes> mode{adding};
    AddOptions options;
    log::Level level = log::Level::info;
};

/// The options that say what to do; without one of them keys are added.
std::vector<cli::Option> add_mode_options(AddCommandLine& line) {
    const auto mode = [&line](cli::Modes chosen) {
        return [&line, chosen](char*) { line.mode.choose(chosen); };
    };
    return {
        {.short_name = 'd',
         .modes = removing,
         .help = "remove the keys of the files, and their certificates, from the agent; a .pub file is "
                 "enough, and - reads public keys from standard input",
         .apply = mode(removing)},
        {.short_name = 'D',
         .modes = removing_all,
         .help = "remove all keys from the agent",
         .apply = mode(removing_all)},
        {.short_name = 'l',
         .modes = fingerprints,
         .help = "list the fingerprints of the agent's keys",
         .apply = mode(fingerprints)},
        {.short_name = 'L',
         .modes = public_keys,
         .help = "list the agent's public keys",
         .apply = mode(public_keys)},
        {.short_name = 'Q',
         .modes = extensions,
         .help = "list the extensions that the agent knows",
         .apply = mode(extensions)},
        {.short_name = 'T',
         .modes = testing,
         .help = "have the agent sign with the keys of the files, and check the signatures",
         .apply = mode(testing)},
        {.short_name = 'x',
         .modes = locking,
         .help = "lock the agent with a password",
         .apply = mode(locking)},
        {.short_name = 'X', .modes = unlocking, .help = "unlock it", .apply = mode(unlocking)},
    };
}

std::vector<cli::Option> key_options(AddOptions& o) {
    return {
        {.short_name = 't',
         .argument = "TIME",
         .modes = adding,
         .help = "the agent forgets the keys after this time: seconds, or as in 1h30m",
         .apply = [&o](char* time) { o.lifetime = cli::parse_time_span(time); }},
        {.short_name = 'c',
         .modes = adding,
         .help = "the agent asks for confirmation at every use, by its SSH_ASKPASS alone",
         .apply = [&o](char*) { o.confirm = true; }},
        {.short_name = 'h',
         .argument = "DESTINATION",
         .modes = adding,
         .help = "the keys log in to HOST, USER@HOST, or from one host to the next, FROM>HOST or "
                 "FROM>USER@HOST, alone; may come several times",
         .apply = [&o](char* text) { o.destinations.emplace_back(text); }},
        {.short_name = 'H',
         .argument = "FILE",
         .modes = adding,
         .help = "a known_hosts file for -h, instead of the usual ones; may come several times",
         .apply = [&o](char* file) { o.host_key_files.emplace_back(file); }},
        {.long_name = "pin",
         .modes = adding,
         .help = "ask for the PIN here, have the TPM try it, and only then call the key added",
         .apply = [&o](char*) { o.pin = true; }},
        {.short_name = 'k',
         .modes = adding | removing,
         .help = "keys alone, no certificates",
         .apply = [&o](char*) { o.key_only = true; }},
        {.short_name = 'C',
         .modes = adding | removing,
         .help = "certificates alone",
         .apply = [&o](char*) { o.certificate_only = true; }},
        {.short_name = 'N',
         .modes = adding,
         .help = "as ssh-add: certificates may stay beyond their end, which they do anyway",
         .apply = [](char*) {}},
        {.short_name = 'E',
         .argument = "HASH",
         .modes = fingerprints,
         .help = "with -l: sha256 (default) or md5",
         .apply = [&o](char* word) { o.hash = parse_hash(word); }},
        {.short_name = 'q',
         .modes = cli::every_mode,
         .help = "say nothing of success",
         .apply = [&o](char*) { o.quiet = true; }},
    };
}

/// What ssh-add has for keys that are in no TPM.
std::vector<cli::Option> add_foreign_options() {
    const auto refuse = [](std::string_view letter, std::string_view what) {
        return [letter, what](char*) {
            throw Error(Errc::unsupported,
                        "-" + std::string(letter) + ": " + std::string(what) +
                            " are in no TPM, and ssh-tpm-agent does not hold them",
                        "ssh-add does this with an ssh-agent");
        };
    };
    constexpr std::string_view tokens = "keys of PKCS#11 tokens", authenticators = "keys of FIDO devices";
    constexpr std::string_view refused = "refused: for ssh-add and ssh-agent";
    return {
        {.short_name = 's',
         .argument = "PKCS11",
         .modes = cli::every_mode,
         .help = refused,
         .apply = refuse("s", tokens)},
        {.short_name = 'e',
         .argument = "PKCS11",
         .modes = cli::every_mode,
         .help = refused,
         .apply = refuse("e", tokens)},
        {.short_name = 'S',
         .argument = "PROVIDER",
         .modes = cli::every_mode,
         .help = refused,
         .apply = refuse("S", authenticators)},
        {.short_name = 'K', .modes = cli::every_mode, .help = refused, .apply = refuse("K", authenticators)},
    };
}

std::vector<cli::Option> add_option_table(AddCommandLine& line) {
    auto table = key_options(line.options);
    for (auto& option : add_mode_options(line))
        table.push_back(std::move(option));
    table.push_back(
        {.short_name = 'v', .modes = cli::every_mode, .help = "tell what is done", .apply = [&line](char*) {
             line.level = log::Level::debug;
         }});
    for (auto& option : add_foreign_options())
        table.push_back(std::move(option));
    return table;
}

/// This agent's own variable goes before the one that may lead to another agent.
std::filesystem::path agent_socket() {
    for (const auto* name : {"SSH_TPM_AUTH_SOCK", "SSH_AUTH_SOCK"})
        if (os::has_variable(name))
            return *os::variable(name);
    return os::default_socket();
}

/// Nothing, with the reason on stderr, when no agent is there.
std::optional<protocol::Client> connect() {
    const auto socket = agent_socket();
    log::debug("the agent at ", printable(socket.string()));
    try { // caught for an exit status of its own
        return protocol::Client(socket);
    } catch (const Error& error) {
        add_failure({error.code(), std::string("Could not open a connection to the agent: ") + error.what(),
                     "start ssh-tpm-agent, or set SSH_TPM_AUTH_SOCK to its socket"});
        return std::nullopt;
    }
}

} // namespace

bool listed(const std::vector<protocol::AgentKey>& keys, ByteView blob) {
    return std::ranges::any_of(keys, [&](const protocol::AgentKey& key) { return equal(key.blob, blob); });
}

int add_failure(const Error& error) {
    cli::report(add_program, error);
    return 1;
}

int each_file(const std::vector<std::string>& files,
              const std::function<bool(const std::string& file)>& act) {
    int status = 0;
    for (const auto& file : files) {
        try { // caught to go on with the next
            status = act(file) ? status : 1;
        } catch (const Error& error) {
            status = add_failure(error);
        }
    }
    return status;
}

int run_add(std::span<char*> arguments) {
    AddCommandLine line;
    const auto table = add_option_table(line);
    auto parsed = cli::parse_options(arguments, table);
    if (parsed.help) {
        std::cout << cli::help_text(add_usage, add_about, table) << add_closing;
        return 0;
    }
    log::configure(std::string(add_program), line.level);
    const auto run = cli::fitting(parsed, line.mode.chosen(), add_modes);
    cli::require_apart(parsed, "-k", "-C");
    cli::require_with(parsed, "-H", "-h");
    line.options.files = std::move(parsed.operands);
    constexpr int no_agent = 2; // as ssh-add
    auto agent = connect();
    if (!agent)
        return no_agent;
    return run(*agent, line.options);
}

} // namespace sshtpm::applets
