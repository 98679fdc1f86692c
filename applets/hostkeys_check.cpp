// ssh-tpm-hostkeys --check: would a login work that needs a host key of the agent?

#include "applets/hostkeys.hpp"
#include "applets/sshd_program.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "protocol/client.hpp"
#include "ssh/algorithm.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/sshd_settings.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iostream>
#include <sys/random.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view program = "ssh-tpm-hostkeys";
constexpr std::size_t max_public_key = 64 * 1024;

ssh::SshdSettings ask_for_configuration() {
    const auto answer = ask_sshd({"-T"});
    if (answer.status != 0)
        throw Error(Errc::refused, "sshd -T fails",
                    "it says why above; it wants to be run by root, and to have one host key that works");
    return ssh::parse_sshd_settings(answer.output);
}

/// A HostKey names a public key, or a private one with the public one beside it.
ssh::AuthorizedKey read_host_key(const std::string& path) {
    auto text = read_file(path, max_public_key);
    if (text_of(text).find("-----BEGIN ") != std::string_view::npos)
        text = read_file(path + ".pub", max_public_key);
    return ssh::AuthorizedKey::parse(text_of(text));
}

void check_key(protocol::Client& agent, const std::vector<protocol::AgentKey>& served,
               const std::string& path) {
    const auto key = read_host_key(path);
    if (std::ranges::none_of(served, [&](const auto& each) { return each.blob == key.blob; }))
        throw Error(
            Errc::not_found, path + ": the agent does not serve this key",
            "ssh-tpm keygen -A makes the keys, and systemctl restart ssh-tpm-hostkeys.service has the "
            "agent read them; a hierarchy's key is another one after a new seed (tpm2_clear): remove the "
            ".pub "
            "file and make it again; a key of another kind has no place among HostKey lines for this agent");
    Bytes message(32); // as long as the hash that sshd has signed
    if (::getrandom(message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
        throw Error::from_errno(errno, "getrandom");
    if (!ssh::verify_signature(key.blob, agent.sign(key.blob, message, ssh::SSH_AGENT_RSA_SHA2_256), message))
        throw Error(Errc::malformed, path + ": the agent's signature is not this key's",
                    "the agent at this socket is not to be trusted: see who listens there");
    std::cout << ssh::fingerprint(key.blob) << ' ' << printable(path)
              << ": served, and its signature verifies\n";
}

/// Runs one check. @returns true when it found a problem, which it has told, with a hint in any case.
bool is_problem(const std::string& subject, std::string_view hint, const std::function<void()>& check) {
    try { // caught to go on with the next check
        check();
        return false;
    } catch (const Error& error) {
        const std::string what = error.what();
        cli::report(program, Error(error.code(), what.starts_with(subject) ? what : subject + ": " + what,
                                   error.hint().empty() ? std::string(hint) : error.hint()));
        return true;
    }
}

} // namespace

int hostkeys_check(const HostkeysOptions& options) {
    ssh::SshdSettings sshd;
    // Without one host key that it can use, sshd says nothing at all: then the agent is still to be looked
    // at.
    const bool no_view = is_problem("sshd's configuration", "", [&] { sshd = ask_for_configuration(); });
    bool bad =
        no_view || is_problem("sshd's configuration", "", [&] {
            if (sshd.host_key_agent != options.socket.string())
                throw Error(Errc::refused,
                            sshd.host_key_agent.empty() ? "there is no HostKeyAgent"
                                                        : "HostKeyAgent is " + sshd.host_key_agent,
                            "ssh-tpm hostkeys --install-sshd-config, or --socket for another agent than " +
                                options.socket.string());
        });
    std::optional<protocol::Client> agent;
    std::vector<protocol::AgentKey> served;
    const bool no_agent =
        is_problem(options.socket.string(), "systemctl status ssh-tpm-hostkeys.socket", [&] {
            agent.emplace(options.socket);
            served = agent->list();
        });
    bad = bad || no_agent;
    for (const auto& path : sshd.host_keys) {
        if (no_agent)
            break;
        bad = is_problem(path, "see what the agent says: journalctl -u ssh-tpm-hostkeys.service",
                         [&] { check_key(*agent, served, path); }) ||
              bad;
    }
    return bad ? 1 : 0;
}

} // namespace sshtpm::applets
