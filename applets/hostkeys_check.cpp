// Checks that sshd can use the host keys of the agent: for ssh-tpm-hostkeys --check, and before a new
// configuration of sshd is kept.

#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
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
    std::string output; ///< from stdout
};

void print(const UniqueFd& errors) {
    std::array<char, 4096> chunk{};
    off_t at = 0;
    for (ssize_t got = 0; (got = ::pread(errors.value(), chunk.data(), chunk.size(), at)) > 0; at += got)
        std::cerr.write(chunk.data(), got);
}

/// Runs sshd with an option, and shows its messages only if it fails. @throws Error(not_found)
SshdAnswer ask_sshd(const std::string& option) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    // sshd first reads every HostKey as a private key, and warns about .pub files that others can read.
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC)); // unlike a pipe it is never full
    if (!errors)
        throw Error::from_errno(errno, "memfd_create");
    // In a group of its own: Ctrl-C must not end sshd, whose status decides what this program does.
    os::Child child({*sshd, option}, {}, errors.value(), os::Child::Group::own);
    SshdAnswer answer;
    std::array<char, 4096> chunk{};
    for (;;) {
        const auto got = uninterrupted([&] { return ::read(child.output(), chunk.data(), chunk.size()); });
        if (got <= 0)
            break;
        if (answer.output.size() > max_sshd_output)
            throw Error(Errc::malformed, *sshd + " prints more than a configuration can be");
        answer.output.append(chunk.data(), static_cast<std::size_t>(got));
    }
    answer.status = child.wait();
    if (answer.status != 0)
        print(errors);
    return answer;
}

struct NamedKey {
    Bytes blob;
    bool has_file = false; ///< the private half is in a file
};

/// A HostKey names a public key file, or a private one with the public one beside it.
NamedKey read_host_key(const std::string& path) {
    try { // caught to add a hint
        NamedKey key;
        auto text = read_file(path, ssh::max_public_file);
        key.has_file = text_of(text).find("-----BEGIN ") != std::string_view::npos;
        if (key.has_file)
            text = read_file(path + ".pub", ssh::max_public_file);
        key.blob = ssh::AuthorizedKey::parse(text_of(text)).blob;
        return key;
    } catch (const Error& error) {
        if (error.code() == Errc::not_found && path.ends_with(".pub"))
            throw Error(error.code(), error.what(),
                        "ssh-tpm keygen -A writes it again, from the .tpm file beside it or, with "
                        "--hierarchy, from the TPM");
        throw;
    }
}

Error not_served(const std::string& path, bool has_file) {
    const auto what = path + ": the agent does not serve this key";
    if (has_file)
        return {Errc::not_found, what,
                "it is in a file, and sshd signs with it by itself: once clients have learnt the TPM's keys "
                "(UpdateHostKeys), remove its HostKey line"};
    return {Errc::not_found, what,
            "ssh-tpm keygen -A makes missing keys, and systemctl restart ssh-tpm-hostkeys.service makes the "
            "agent read them; if the key is of a hierarchy whose seed has changed (tpm2_clear), remove the "
            ".pub file and make it again; if it is not in the TPM, remove its HostKey line"};
}

/// @throws Error if the agent does not serve the key or the signature does not verify
void prove_host_key(protocol::Client& agent, const std::vector<protocol::AgentKey>& served,
                    const std::string& path) {
    const auto [key, has_file] = read_host_key(path);
    if (std::ranges::find(served, key, &protocol::AgentKey::blob) == served.end())
        throw not_served(path, has_file);
    if (const auto wrong = agent.find_wrong_signature(key))
        throw Error(Errc::malformed,
                    path + ": the agent's signature is not this key's (" + printable(*wrong) + ")",
                    "the agent at this socket is not to be trusted: find out which program listens there");
    std::cout << ssh::fingerprint(key) << ' ' << printable(path) << ": served, and its signature verifies\n";
}

/// The error with "subject: " in front, unless it begins with that already; with `hint` if it has none.
Error about_subject(const std::string& subject, const Error& error, const std::string& hint) {
    const std::string what = error.what();
    return {error.code(), what.starts_with(subject) ? what : subject + ": " + what,
            error.hint().empty() ? hint : error.hint()};
}

/// Tests each host key with a signature by the agent, and prints the keys that work.
/// @returns an error for each key that does not work @throws Error if the agent does not answer
std::vector<Error> prove_host_keys(const std::filesystem::path& socket,
                                   const std::vector<std::string>& paths) {
    protocol::Client agent(socket, time_limits().host_agent);
    const auto served = agent.list();
    std::vector<Error> problems;
    for (const auto& path : paths) {
        try { // caught to try the others
            prove_host_key(agent, served, path);
        } catch (const Error& error) {
            problems.push_back(about_subject(
                path, error, "see what the agent says: journalctl -u ssh-tpm-hostkeys.service"));
        }
    }
    return problems;
}

ssh::SshdSettings ask_for_configuration() {
    const auto answer = ask_sshd("-T");
    if (answer.status != 0)
        throw Error(Errc::refused, "sshd -T fails",
                    "its message is above; it must run as root, and needs a host key that works");
    return ssh::parse_sshd_settings(answer.output);
}

constexpr const char* first_the_agent =
    "sshd needs the agent and the keys: run ssh-tpm keygen -A, ssh-tpm hostkeys --install-system-units, and "
    "systemctl enable --now ssh-tpm-hostkeys.socket first";

/// The paths in the HostKey lines of the drop-in.
std::vector<std::string> installed_host_keys() {
    constexpr std::string_view word = "HostKey ";
    std::vector<std::string> paths;
    for (const auto& file : installed_files()) {
        if (!file.name.starts_with("sshd/"))
            continue;
        for (auto text = file.text; !text.empty();)
            if (const auto line = take_line(text); line.starts_with(word))
                paths.emplace_back(line.substr(word.size()));
    }
    return paths;
}

Error not_installed(const std::string& what, const std::string& hint) {
    return {Errc::refused, what + "; nothing was installed for sshd", hint};
}

void expect_sshd_to_agree() {
    if (ask_sshd("-t").status != 0)
        throw not_installed("sshd -t refuses the configuration", first_the_agent);
    const auto sshd = ask_for_configuration();
    if (sshd.host_key_agent != system_socket)
        throw not_installed("sshd does not read the new file (its HostKeyAgent is " +
                                (sshd.host_key_agent.empty() ? "none" : sshd.host_key_agent) + ")",
                            "/etc/ssh/sshd_config must begin with: Include /etc/ssh/sshd_config.d/*.conf");
}

void expect_keys_to_work() {
    const auto paths = installed_host_keys();
    std::vector<Error> problems;
    try { // caught to say what follows for sshd
        problems = prove_host_keys(system_socket, paths);
    } catch (const Error& error) {
        throw not_installed("sshd would ask an agent that does not answer: " + std::string(error.what()),
                            first_the_agent);
    }
    const bool none_works = problems.size() == paths.size();
    for (const auto& problem : problems)
        none_works ? (void)cli::report(log::program(), problem) : cli::warn(log::program(), problem);
    if (none_works)
        throw not_installed(
            "the agent signs with none of these host keys, so nobody could log in to sshd",
            "solve the problems above; keys of a hierarchy need an agent and a file for sshd of their own "
            "(ssh-tpm-hostkeys(8))");
}

} // namespace

int hostkeys_check(const std::filesystem::path& socket) {
    bool bad = false;
    const auto tell = [&bad](const Error& error) {
        cli::report(log::program(), error);
        bad = true;
    };
    ssh::SshdSettings sshd;
    try { // caught to check the agent too
        sshd = ask_for_configuration();
        if (sshd.host_key_agent != socket.string())
            throw Error(Errc::refused,
                        sshd.host_key_agent.empty() ? "there is no HostKeyAgent"
                                                    : "HostKeyAgent is " + sshd.host_key_agent,
                        "ssh-tpm hostkeys --install-sshd-config, or --socket for another agent than " +
                            socket.string());
    } catch (const Error& error) {
        tell(about_subject("sshd's configuration", error, ""));
    }
    try { // caught to report it like the others
        std::ranges::for_each(prove_host_keys(socket, sshd.host_keys), tell);
    } catch (const Error& error) {
        tell(about_subject(socket.string(), error, "systemctl status ssh-tpm-hostkeys.socket"));
    }
    return bad ? 1 : 0;
}

void expect_logins_to_work() {
    expect_sshd_to_agree();
    expect_keys_to_work();
}

void expect_sshd_to_go_on(bool force) {
    if (!find_sshd() || ask_sshd("-t").status == 0)
        return;
    const std::string what = "without the installed file, sshd -t refuses the configuration";
    const std::string keys = "if sshd has no other host key, ssh-keygen -A makes some in files";
    if (!force)
        throw Error(Errc::refused, what + "; nothing was removed", keys + "; --force removes it anyway");
    cli::warn(log::program(), Error(Errc::refused, what, keys));
}

} // namespace sshtpm::applets
