#include "applets/host_key_proof.hpp"

#include "base/file.hpp"
#include "base/printable.hpp"
#include "ssh/algorithm.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <sys/random.h>

namespace sshtpm::applets {

namespace {

constexpr std::size_t max_public_key = 64 * 1024;

struct NamedKey {
    Bytes blob;
    bool has_file = false; ///< of its private half
};

/// A HostKey names a public key, or a private one with the public one beside it.
NamedKey read_host_key(const std::string& path) {
    try { // caught to say how the file comes back
        NamedKey key;
        auto text = read_file(path, max_public_key);
        key.has_file = text_of(text).find("-----BEGIN ") != std::string_view::npos;
        if (key.has_file)
            text = read_file(path + ".pub", max_public_key);
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
                "it is in a file, from which sshd signs by itself: once clients have learnt the TPM's keys "
                "(UpdateHostKeys), take its HostKey line away"};
    return {Errc::not_found, what,
            "ssh-tpm keygen -A makes the keys, and systemctl restart ssh-tpm-hostkeys.service has the agent "
            "read them; a hierarchy's key is another one after a new seed (tpm2_clear): remove the .pub file "
            "and make it again; a key of another kind has no place among HostKey lines for this agent"};
}

} // namespace

void prove_host_key(protocol::Client& agent, const std::vector<protocol::AgentKey>& served,
                    const std::string& path) {
    const auto [key, has_file] = read_host_key(path);
    if (std::ranges::find(served, key, &protocol::AgentKey::blob) == served.end())
        throw not_served(path, has_file);
    Bytes message(32); // as long as the hash that sshd has signed
    if (::getrandom(message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
        throw Error::from_errno(errno, "getrandom");
    if (!ssh::verify_signature(key, agent.sign(key, message, ssh::SSH_AGENT_RSA_SHA2_256), message))
        throw Error(Errc::malformed, path + ": the agent's signature is not this key's",
                    "the agent at this socket is not to be trusted: see who listens there");
    std::cout << ssh::fingerprint(key) << ' ' << printable(path) << ": served, and its signature verifies\n";
}

Error about_host_key(const std::string& path, const Error& error, const std::string& hint) {
    const std::string what = error.what();
    return {error.code(), what.starts_with(path) ? what : path + ": " + what,
            error.hint().empty() ? hint : error.hint()};
}

} // namespace sshtpm::applets
