// SPDX-License-Identifier: MIT
// Checks that sshd can use the host keys of the agent: for ssh-tpm-hostkeys --check, and before a new
// configuration of sshd is kept.

#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "applets/keygen_files.hpp"
#include "applets/sshd_drop_in.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "cli/report.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"
#include "protocol/client.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/sshd_settings.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <sys/mman.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

/// Far more than any configuration has.
constexpr std::size_t max_sshd_output = 4 << 20;

/// sshd must be called by its absolute path. A user's PATH may lack these folders.
std::optional<std::string> find_sshd() {
    return os::find_program("sshd", "/usr/local/sbin:/usr/sbin:/sbin");
}

struct SshdAnswer {
    int status = 0;
    std::string output, errors; ///< from stdout and stderr
};

/// Reads to the end. @throws Error(malformed) for more than max_sshd_output
std::string read_all(int descriptor) {
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;) {
        const auto got = uninterrupted([&] { return ::read(descriptor, chunk.data(), chunk.size()); });
        if (got <= 0)
            return text;
        if (text.size() > max_sshd_output)
            throw Error(Errc::malformed, "sshd prints more than a configuration can be");
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

/// @throws Error(not_found)
SshdAnswer run_sshd(std::vector<std::string> words) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC)); // unlike a pipe it is never full
    if (!errors)
        throw Error::from_errno(errno, "memfd_create");
    // In a group of its own: Ctrl-C must not end sshd, whose status decides what this program does.
    words.insert(words.begin(), *sshd);
    os::Child child(words, {}, errors.value(), os::Child::Group::own);
    SshdAnswer answer;
    answer.output = read_all(child.output());
    answer.status = child.wait();
    ::lseek(errors.value(), 0, SEEK_SET);
    answer.errors = read_all(errors.value());
    return answer;
}

/// Runs sshd with an option, and shows its messages only if it fails: it reads every HostKey as a private key
/// first, and warns about a .pub file that others can read. @throws Error(not_found)
SshdAnswer ask_sshd(const std::string& option) {
    auto answer = run_sshd({option});
    if (answer.status != 0)
        std::cerr << answer.errors;
    return answer;
}

/// sshd's configuration, and the lines that set host keys and their agent. The lines serve only to name
/// places: their values are not parsed as sshd does.
struct SshdView {
    std::vector<ssh::SshdLine> agents, host_keys;
    std::optional<ssh::SshdSettings> settings; ///< nothing if sshd refuses the configuration
    std::string errors;                        ///< its reason
};

/// Also for a configuration that sshd refuses, with the lines up to the one that it refuses.
SshdView ask_for_configuration() {
    const auto debugged = run_sshd({"-T", "-ddd"}).errors;
    auto answer = run_sshd({"-T"});
    SshdView view{.agents = ssh::parse_sshd_lines(debugged, "HostKeyAgent"),
                  .host_keys = ssh::parse_sshd_lines(debugged, "HostKey"),
                  .settings = {},
                  .errors = std::move(answer.errors)};
    if (answer.status == 0)
        view.settings = ssh::parse_sshd_settings(answer.output);
    return view;
}

const ssh::SshdSettings& settings_of(const SshdView& view) {
    if (view.settings)
        return *view.settings;
    std::cerr << view.errors;
    throw Error(Errc::refused, "sshd -T fails",
                "its message is above; it must run as root, and needs a host key that works");
}

std::string place_of(const ssh::SshdLine& line) {
    return line.file + " line " + std::to_string(line.number);
}

/// " (FILE line N)" for a host key whose line is known, else empty.
std::string in_line_of(const std::string& path, const SshdView& view) {
    const auto line = std::ranges::find(view.host_keys, path, &ssh::SshdLine::value);
    return line == view.host_keys.end() ? "" : " (" + place_of(*line) + ")";
}

/// Reports that the first HostKeyAgent, the one that sshd takes, is not `socket`.
std::optional<Error> other_agent(const SshdView& view, const std::filesystem::path& socket,
                                 const std::string& hint) {
    if (view.agents.empty())
        return std::nullopt;
    const auto& line = view.agents.front();
    const auto& agent = view.settings ? view.settings->host_key_agent : line.value;
    if (agent == socket.string())
        return std::nullopt;
    const bool of_go = std::filesystem::path(line.file).filename() == "10-ssh-tpm-agent.conf";
    return Error(Errc::refused, "HostKeyAgent is " + agent + ", which " + place_of(line) + " sets first",
                 of_go
                     ? "the ssh-tpm-agent written in Go installed this file: remove it, and stop that agent "
                       "(`systemctl disable --now ssh-tpm-agent.socket ssh-tpm-agent.service`)"
                     : hint);
}

/// The agent that sshd asks, if it is one of our units.
std::optional<std::string> our_agent(const SshdView& view) {
    if (view.agents.empty())
        return std::nullopt;
    const auto& agent = view.settings ? view.settings->host_key_agent : view.agents.front().value;
    const auto folder = std::filesystem::path(system_socket).parent_path();
    return std::filesystem::path(agent).parent_path() == folder ? std::optional(agent) : std::nullopt;
}

struct NamedKey {
    std::string type; ///< "ecdsa-sha2-nistp256", "ssh-rsa", …
    Bytes blob;
    bool has_file = false; ///< the private half is in a file
};

/// A HostKey names a public key file, or a private one, which may be missing, with the public one beside it.
NamedKey read_host_key(const std::string& path) {
    try { // caught to add a hint
        NamedKey key;
        const bool beside = !path.ends_with(".pub") && !is_there(path);
        auto text = read_file(beside ? path + ".pub" : path, ssh::max_public_file);
        key.has_file = is_key_file(text_of(text));
        if (key.has_file)
            text = read_file(path + ".pub", ssh::max_public_file);
        auto line = ssh::AuthorizedKey::parse(text_of(text));
        key.type = std::move(line.type);
        key.blob = std::move(line.blob);
        return key;
    } catch (const Error& error) {
        const auto name = std::filesystem::path(path).filename().string();
        if (error.code() == Errc::not_found && (path.ends_with(".pub") || name.starts_with("ssh_tpm_host_")))
            throw Error(error.code(), error.what(),
                        "`ssh-tpm keygen -A` writes it again, from the .tpm file beside it or, with "
                        "--hierarchy, from the TPM");
        throw;
    }
}

Error not_served(const std::string& path, bool has_file, const std::string& in_line) {
    const auto what = path + ": the agent does not serve this key";
    if (has_file)
        return {Errc::not_found, what,
                "it is in a file, and sshd signs with it by itself: once clients have learnt the TPM's keys "
                "(UpdateHostKeys), remove its HostKey line" +
                    in_line};
    return {
        Errc::not_found, what,
        "`ssh-tpm keygen -A` makes missing keys, and `systemctl restart ssh-tpm-hostkeys.service` makes the "
        "agent read them; if the TPM derives another key of a hierarchy now (after tpm2_clear, or "
        "for RSA on a TPM without SHA-512), remove the .pub file and make it again; if it is not in the "
        "TPM, remove its HostKey line" +
            in_line};
}

/// @throws Error if the agent does not serve the key or the signature does not verify
void prove_host_key(protocol::Client& agent, const std::vector<protocol::AgentKey>& served,
                    const std::string& path, const NamedKey& key, const SshdView& view) {
    if (std::ranges::find(served, key.blob, &protocol::AgentKey::blob) == served.end())
        throw not_served(path, key.has_file, in_line_of(path, view));
    if (const auto wrong = agent.find_wrong_signature(key.blob))
        throw Error(Errc::malformed,
                    path + ": the agent's signature is not this key's (" + printable(*wrong) + ")",
                    "the agent at this socket is not to be trusted: find out which program listens there");
    std::cout << ssh::fingerprint(key.blob) << ' ' << printable(path)
              << ": served, and its signature verifies\n";
}

/// sshd uses the first host key of each type (get_hostkey_by_type in its sshd.c).
/// @returns an error if another key is before this one
std::optional<Error> find_key_before(const std::string& path, const NamedKey& key, const SshdView& view) {
    for (const auto& other : settings_of(view).host_keys) {
        try { // caught because sshd leaves such a key out too
            const auto first = read_host_key(other);
            if (first.type != key.type)
                continue;
            if (first.blob == key.blob)
                return std::nullopt;
            return Error(Errc::refused,
                         path + ": sshd does not use this key, but " + other + ", the first one of this type",
                         "remove the HostKey line of " + other + in_line_of(other, view) +
                             ", or move it behind that of this key");
        } catch (const Error&) {
        }
    }
    return std::nullopt;
}

/// The error with "subject: " in front, unless it begins with that already; with `hint` if it has none.
Error about_subject(const std::string& subject, const Error& error, const std::string& hint) {
    const std::string what = error.what();
    return {error.code(), what.starts_with(subject) ? what : subject + ": " + what,
            error.hint().empty() ? hint : error.hint()};
}

struct HostKeyProblems {
    std::vector<Error> failed; ///< of keys that do not work
    std::vector<Error> unused; ///< of keys that work, but sshd uses another one
};

/// Tests each host key with a signature by the agent, and prints the keys that work.
/// @throws Error if the agent does not answer
HostKeyProblems prove_host_keys(const std::filesystem::path& socket, const std::vector<std::string>& paths,
                                const SshdView& view) {
    protocol::Client agent(socket, time_limits().host_agent);
    const auto served = agent.list();
    HostKeyProblems problems;
    for (const auto& path : paths) {
        try { // caught to try the others
            const auto key = read_host_key(path);
            prove_host_key(agent, served, path, key, view);
            if (auto before = find_key_before(path, key, view))
                problems.unused.push_back(std::move(*before));
        } catch (const Error& error) {
            problems.failed.push_back(about_subject(
                path, error, "see what the agent says: `journalctl -u ssh-tpm-hostkeys.service`"));
        }
    }
    return problems;
}

Error not_installed(const std::string& what, const std::string& hint) {
    return {Errc::refused, what + "; nothing was installed for sshd", hint};
}

void expect_sshd_to_agree(const SshdView& view, const std::filesystem::path& socket,
                          const std::string& first) {
    // First, because sshd -t may fail for this reason: it asks the wrong agent.
    if (const auto other =
            other_agent(view, socket,
                        "sshd takes the first HostKeyAgent: remove that line, or, to keep that agent, "
                        "do without --install-sshd-config"))
        throw not_installed(other->what(), other->hint());
    if (ask_sshd("-t").status != 0)
        throw not_installed("sshd -t refuses the configuration", first);
    if (const auto& sshd = settings_of(view); sshd.host_key_agent != socket.string())
        throw not_installed("sshd does not read the new file (its HostKeyAgent is " +
                                (sshd.host_key_agent.empty() ? "none" : sshd.host_key_agent) + ")",
                            "/etc/ssh/sshd_config must begin with: Include /etc/ssh/sshd_config.d/*.conf");
}

void expect_keys_to_work(const SshdView& view, const std::filesystem::path& socket,
                         const std::vector<std::string>& paths, const std::string& first) {
    HostKeyProblems problems;
    try { // caught to say what follows for sshd
        problems = prove_host_keys(socket, paths, view);
    } catch (const Error& error) {
        throw not_installed("sshd would ask an agent that does not answer: " + std::string(error.what()),
                            first);
    }
    const bool none_works = problems.failed.size() == paths.size();
    for (const auto& problem : problems.failed)
        none_works ? (void)cli::report(log::program(), problem) : cli::warn(log::program(), problem);
    if (none_works)
        throw not_installed(
            "the agent signs with none of these host keys, so all logins fail",
            socket == system_socket
                ? "solve the problems above; for the keys of a hierarchy, give --hierarchy too"
                : "solve the problems above");
    for (const auto& problem : problems.unused)
        cli::warn(log::program(), problem);
}

} // namespace

int hostkeys_check(const std::optional<std::filesystem::path>& given) {
    std::filesystem::path socket = given.value_or(system_socket);
    bool bad = false;
    const auto tell = [&bad](const Error& error) {
        cli::report(log::program(), error);
        bad = true;
    };
    const auto tell_of_sshd = [&tell](const Error& error) {
        tell(about_subject("sshd's configuration", error, ""));
    };
    SshdView view;
    try { // caught to check the agent too
        view = ask_for_configuration();
        if (!given)
            socket = our_agent(view).value_or(system_socket);
        if (const auto other =
                other_agent(view, socket,
                            "remove that line for the one that `ssh-tpm hostkeys "
                            "--install-sshd-config` installs, or give --socket for this agent"))
            tell_of_sshd(*other);
        const auto& sshd = settings_of(view);
        if (view.agents.empty() && sshd.host_key_agent != socket.string())
            throw Error(Errc::refused,
                        sshd.host_key_agent.empty() ? "there is no HostKeyAgent"
                                                    : "HostKeyAgent is " + sshd.host_key_agent,
                        "`ssh-tpm hostkeys --install-sshd-config`, or --socket for another agent than " +
                            socket.string());
    } catch (const Error& error) {
        tell_of_sshd(error);
    }
    try { // caught to report it like the others
        const auto problems = prove_host_keys(
            socket, view.settings ? view.settings->host_keys : std::vector<std::string>(), view);
        std::ranges::for_each(problems.failed, tell);
        std::ranges::for_each(problems.unused, tell);
    } catch (const Error& error) {
        tell(about_subject(socket.string(), error, "`systemctl status ssh-tpm-hostkeys.socket`"));
    }
    return bad ? 1 : 0;
}

void expect_logins_to_work(const SshdDropIn& drop_in, const std::string& first) {
    const auto view = ask_for_configuration();
    expect_sshd_to_agree(view, drop_in.socket, first);
    expect_keys_to_work(view, drop_in.socket, drop_in.host_keys, first);
}

void expect_sshd_to_go_on(bool had_config, bool force) {
    if (!find_sshd())
        return;
    std::string what, hint;
    if (had_config && ask_sshd("-t").status != 0) {
        what = "without the installed file, sshd -t refuses the configuration";
        hint = "if sshd has no other host key, `ssh-keygen -A` makes some in files";
    } else {
        const auto view = ask_for_configuration();
        if (!our_agent(view))
            return;
        what = "sshd needs the agent of these units: HostKeyAgent in " + place_of(view.agents.front());
        hint = "remove that line and the HostKey lines of its keys, and have sshd reload its configuration";
    }
    if (!force)
        throw Error(Errc::refused, what + "; nothing was removed", hint + "; --force removes it anyway");
    cli::warn(log::program(), Error(Errc::refused, what, hint));
}

} // namespace sshtpm::applets
