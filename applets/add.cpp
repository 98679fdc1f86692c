// SPDX-License-Identifier: MIT
// ssh-tpm-add: its options and modes, and the connection to the agent.

#include "applets/add.hpp"

#include "applets/applets.hpp"
#include "applets/openssh_link.hpp"
#include "applets/rights.hpp"
#include "applets/tpm_key_file.hpp"
#include "applets/tpm_options.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "cli/time_span.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <algorithm>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view add_usage =
    R"(usage: ssh-tpm-add [-cqv] [-C | -k] [-t time] [-h destination [-H known_hosts]]
                   [--pin | --pin-file path] [file ...]
       ssh-tpm-add -d [-C | -k] [-q] [file ...]
       ssh-tpm-add -D [-q]
       ssh-tpm-add -l [-E sha256|md5] | -L | -Q
       ssh-tpm-add -T pubkey ...
       ssh-tpm-add -x | -X)";

constexpr std::string_view add_about =
    "Adds TPM keys to a running ssh-tpm-agent, as ssh-add does with ordinary ones: FILE.tpm, named with or "
    "without its ending, and the certificate FILE-cert.pub if it exists. Without a file: "
    "~/.ssh/id_ecdsa.tpm and ~/.ssh/id_rsa.tpm. The modes that add no key, except -x and -X, work with any "
    "agent. Keys, PINs and passwords are sent only to an agent of the same user or of root.";

constexpr std::string_view add_closing = R"(
Files
  ~/.ssh/id_ecdsa.tpm, id_rsa.tpm    the keys that are added without a file
  FILE-cert.pub                      the certificate of the key in FILE.tpm
  ~/.ssh/known_hosts, known_hosts2, /etc/ssh/ssh_known_hosts, ssh_known_hosts2
                                     the host keys for -h

Environment
  SSH_TPM_AUTH_SOCK, else SSH_AUTH_SOCK
                                     the agent's socket; without both, the one that
                                     "ssh-tpm-agent --print-socket" prints
  SSH_ASKPASS, SSH_ASKPASS_REQUIRE   the program that asks for PINs and passwords, as for ssh-add

Exit status
  0 success, 1 something failed or the agent has no keys (-l, -L), 2 no agent, or wrong usage

Examples
  ssh-tpm add                                  the keys of ~/.ssh
  ssh-tpm add -t 1h -c ~/.ssh/work             for an hour, and each use has to be confirmed
  ssh-tpm add --pin                            the PIN now, here, rather than at the first login
  ssh-tpm add --pin-file "$CREDENTIALS_DIRECTORY/pin"
                                               the same in a service, with a credential of systemd
  ssh-tpm add -h gateway -h 'gateway>me@inner' ~/.ssh/work
                                               to log in to gateway and, from there, to inner; nowhere else
  ssh-tpm add -d ~/.ssh/work                   remove it from the agent
)";

constexpr cli::Modes adding = 1U << 0, removing = 1U << 1, removing_all = 1U << 2, fingerprints = 1U << 3,
                     public_keys = 1U << 4, extensions = 1U << 5, testing = 1U << 6, locking = 1U << 7,
                     unlocking = 1U << 8;

constexpr std::string_view not_held = "ssh-tpm-agent does not hold keys of PKCS#11 tokens and FIDO devices",
                           held_elsewhere =
                               "use ssh-add: ssh-tpm-agent passes this to an upstream ssh-agent (-A)";

std::vector<cli::Option> add_option_table(AddOptions& o, log::Level& level) {
    return {
        {"-t TIME", adding, "the agent forgets the keys after this time: seconds, or 90m, 1h30m and so on",
         [&o](char* time) { o.lifetime = cli::parse_time_span(time); }},
        {"-c", adding, "the agent asks for confirmation at every use; only an askpass program can ask",
         cli::set(o.confirm)},
        {"-h DESTINATION", adding,
         "the keys log in to this destination alone: HOST, USER@HOST or, from one host to the next, "
         "FROM>HOST or FROM>USER@HOST (repeatable)",
         [&o](char* text) { o.destinations.emplace_back(text); }},
        {"-H FILE", adding, "a known_hosts file for -h, instead of the usual ones (repeatable)",
         [&o](char* file) { o.host_key_files.emplace_back(file); }},
        {"--pin", adding, "ask for the PIN here; the key counts as added once the TPM has accepted it",
         cli::set(o.pin)},
        {"--pin-file PATH", adding,
         "like --pin, but the PIN is the first line of a file that other users cannot read; - is standard "
         "input",
         cli::set(o.pin_file)},
        {"-k", adding | removing, "only keys, no certificates", cli::set(o.key_only)},
        {"-C", adding | removing, "only certificates, no keys", cli::set(o.certificate_only)},
        {"-N", adding, "add certificates that have expired, too; the agent does not list them",
         cli::set(o.expired)},
        {"-E HASH", fingerprints, "with -l: sha256 (default) or md5",
         [&o](char* word) { o.hash = parse_hash(word); }},
        {"-q", cli::every_mode, "print nothing on success", cli::set(o.quiet)},
        cli::mode_option("-d", removing,
                         "remove the keys of the files, and their certificates, from the agent; a .pub file "
                         "is enough, and - reads public keys from standard input"),
        cli::mode_option("-D", removing_all, "remove all keys from the agent"),
        cli::mode_option("-l", fingerprints, "list the fingerprints of the agent's keys"),
        cli::mode_option("-L", public_keys, "list the agent's public keys"),
        cli::mode_option("-Q", extensions, "list the extensions that the agent knows"),
        cli::mode_option("-T", testing,
                         "have the agent sign with the keys of the files, and check the signatures"),
        cli::mode_option("-x", locking, "lock the agent with a password"),
        cli::mode_option("-X", unlocking, "unlock the agent"),
        {"-v", cli::every_mode, "print each step", [&level](char*) { level = log::Level::debug; }},
        cli::refused_option("-s PKCS11", not_held, held_elsewhere),
        cli::refused_option("-e PKCS11", not_held, held_elsewhere),
        cli::refused_option("-S PROVIDER", not_held, held_elsewhere),
        cli::refused_option("-K", not_held, held_elsewhere),
    };
}

/// SSH_AUTH_SOCK may name another agent, so our own variable comes first. In place of ssh-add, only
/// SSH_AUTH_SOCK counts: scripts start an agent if ssh-add finds none.
std::filesystem::path agent_socket(bool as_openssh) {
    const char* own = "SSH_TPM_AUTH_SOCK";
    const char* usual = "SSH_AUTH_SOCK";
    for (const auto* name : {as_openssh ? usual : own, usual})
        if (os::has_variable(name))
            return *os::variable(name);
    if (as_openssh)
        throw Error(Errc::not_found, "SSH_AUTH_SOCK is not set");
    return os::default_socket();
}

/// Nothing if there is no agent; then the reason was printed.
std::optional<protocol::Client> connect(bool as_openssh) {
    try { // caught for an exit status of its own
        const auto socket = agent_socket(as_openssh);
        log::debug("the agent at ", printable(socket.string()));
        return protocol::Client(socket);
    } catch (const Error& error) {
        add_failure({error.code(), std::string("Could not open a connection to the agent: ") + error.what(),
                     !error.hint().empty() ? error.hint()
                     : as_openssh          ? "start ssh-agent, or set SSH_AUTH_SOCK to its socket"
                                           : "start ssh-tpm-agent, or set SSH_TPM_AUTH_SOCK to its socket"});
        return std::nullopt;
    }
}

/// The files of a call of ssh-add.
struct AddShares {
    std::vector<std::string> ours;   ///< with TPM keys
    std::vector<std::string> others; ///< for OpenSSH's ssh-add
};

/// Without a file: the default ones of ssh-add(1).
AddShares shares_of(const std::vector<std::string>& files) {
    AddShares shares;
    for (const auto& file : files)
        (names_tpm_key(file) ? shares.ours : shares.others).push_back(file);
    if (!files.empty())
        return shares;
    for (const auto* name : {"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss",
                             "id_dsa", "id_mldsa44_ed25519"}) {
        const auto file = os::ssh_folder() / name;
        if (names_tpm_key(file))
            shares.ours.push_back(file);
        else if (is_there(file))
            shares.others.push_back(file);
    }
    return shares;
}

/// A call of OpenSSH's ssh-add with the same options, for other files.
std::vector<std::string> call_for(const AddOptions& options, bool removes,
                                  const std::vector<std::string>& files) {
    std::vector<std::string> words{"ssh-add"};
    const auto add_flag = [&](bool given, const char* flag) {
        if (given)
            words.emplace_back(flag);
    };
    const auto add_each = [&](const char* flag, const std::vector<std::string>& values) {
        for (const auto& value : values)
            words.insert(words.end(), {flag, value});
    };
    add_flag(removes, "-d");
    add_flag(options.confirm, "-c");
    add_flag(options.key_only, "-k");
    add_flag(options.certificate_only, "-C");
    add_flag(options.quiet, "-q");
    add_flag(options.expired, "-N");
    add_flag(log::level() == log::Level::debug, "-v");
    if (options.lifetime.count() > 0)
        add_each("-t", {std::to_string(options.lifetime.count())});
    add_each("-h", options.destinations);
    add_each("-H", options.host_key_files);
    words.emplace_back("--");
    words.insert(words.end(), files.begin(), files.end());
    return words;
}

/// Adds or removes the TPM keys of a call of ssh-add, and has OpenSSH's ssh-add do it with the others.
/// @param act for options.files
int add_shares(const Call& call, AddOptions& options, bool removes, const std::function<int()>& act) {
    auto shares = shares_of(options.files);
    if (shares.ours.empty())
        hand_over(call, "no TPM key is named");
    options.files = std::move(shares.ours);
    const int status = act();
    if (shares.others.empty())
        return status;
    const int other_status = run_next(call.name, call_for(options, removes, shares.others));
    return status == 0 ? other_status : status;
}

} // namespace

bool listed(const std::vector<protocol::AgentKey>& keys, ByteView blob) {
    return std::ranges::any_of(keys, [&](const protocol::AgentKey& key) { return equal(key.blob, blob); });
}

int add_failure(const Error& error) {
    cli::report(log::program(), error);
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

int run_add(Call& call) {
    AddOptions options;
    auto level = log::Level::info;
    const auto table = add_option_table(options, level);
    auto parsed = or_hand_over(call, [&] { return cli::parse_options(call.arguments, table, adding); });
    if (parsed.help)
        return show_help(call, add_usage, add_about, table, add_closing);
    if (parsed.version)
        return show_version();
    log::configure(call.name, level);
    const auto with_agent = [&](auto* act) {
        return [act, &options, &call] {
            constexpr int no_agent = 2; // as ssh-add
            auto agent = connect(call.as_openssh());
            return agent ? act(*agent, options) : no_agent;
        };
    };
    const std::vector<cli::Mode> modes{{adding, "adding keys", with_agent(add_keys), true},
                                       {removing, "-d", with_agent(add_remove), true},
                                       {removing_all, "-D", with_agent(add_remove_all)},
                                       {fingerprints, "-l", with_agent(add_fingerprints)},
                                       {public_keys, "-L", with_agent(add_public_keys)},
                                       {extensions, "-Q", with_agent(add_query)},
                                       {testing, "-T", with_agent(add_test), true},
                                       {locking, "-x", with_agent(add_lock)},
                                       {unlocking, "-X", with_agent(add_unlock)}};
    const auto& mode =
        or_hand_over(call, [&]() -> const cli::Mode& { return cli::fitting_mode(parsed, modes); });
    cli::require_apart(parsed, "-k", "-C");
    cli::require_with(parsed, "-H", "-h");
    options.files = std::move(parsed.operands);
    if (call.as_openssh() && (mode.bit == adding || mode.bit == removing))
        return add_shares(call, options, mode.bit == removing, mode.run);
    give_up_rights({.network = false});
    return mode.run();
}

} // namespace sshtpm::applets
