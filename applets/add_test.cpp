// ssh-tpm-add -T: whether the agent signs with a key.

#include "applets/add.hpp"
#include "applets/add_files.hpp"
#include "ssh/algorithm.hpp"
#include "ssh/verify.hpp"

#include <cerrno>
#include <sys/random.h>

namespace sshtpm::applets {

namespace {

/// Something that nobody has signed before.
Bytes fresh_message() {
    Bytes message(256); // getrandom(2) gives so much whole
    if (::getrandom(message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
        throw Error::from_errno(errno, "getrandom");
    return message;
}

/// @returns true; what is wrong is thrown.
bool test_key(protocol::Client& agent, const std::string& name) {
    const auto half = read_public_half(name);
    const auto message = fresh_message();
    Bytes signature;
    try { // caught for ssh-add's words
        signature = agent.sign(half.blob, message, ssh::SSH_AGENT_RSA_SHA2_256);
    } catch (const Error& error) {
        throw Error(error.code(), "Agent signature failed for " + half.shown + ": " + error.what());
    }
    if (!ssh::verify_signature(half.blob, signature, message))
        throw Error(Errc::malformed,
                    "Signature verification failed for " + half.shown + ": incorrect signature");
    return true;
}

} // namespace

int add_test(protocol::Client& agent, const AddOptions& options) {
    if (options.files.empty())
        throw Error(Errc::usage, "no keys to test", "-T PUBKEY ...");
    return each_file(options.files, [&](const std::string& file) { return test_key(agent, file); });
}

} // namespace sshtpm::applets
