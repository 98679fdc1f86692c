// SPDX-License-Identifier: MIT
// ssh-tpm-add -l, -L, -Q, -T, -x and -X: lists, a test of keys, and the lock.

#include "applets/add_files.hpp"
#include "applets/keygen_dialogue.hpp"
#include "base/base64.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "ssh/verify.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

/// The whole comment, because scripts read the list, but nothing that moves the cursor.
std::string shown(const std::string& comment) {
    return printable(comment, comment.size());
}

/// As ssh-add prints it: without a comment it is empty, where ssh-keygen prints "no comment".
std::string fingerprint_line(const protocol::AgentKey& key, ssh::FingerprintHash hash) {
    const auto description = ssh::describe(key.blob);
    return std::to_string(description.bits) + " " + ssh::fingerprint(description.plain_blob, hash) + " " +
           shown(key.comment) + " (" + description.label + ")";
}

std::string line_of(const protocol::AgentKey& key) {
    ssh::describe(key.blob);
    return key.type + " " + base64_encode(key.blob) + " " + shown(key.comment);
}

/// Prints a line for each key, and leaves out malformed ones.
template <class Line>
int print_list(protocol::Client& agent, Line&& line) {
    bool any = false;
    for (const auto& key : agent.list()) {
        try { // caught to go on with the next
            std::cout << line(key) << '\n';
            any = true;
        } catch (const Error& error) {
            log::info("a key is not shown: ", printable(error.what()));
        }
    }
    if (!any)
        std::cout << "The agent has no identities.\n";
    return any ? 0 : 1;
}

Secret ask_password(const std::string& question) {
    return ask_existing_secret(question, "password");
}

int tell_lock(const std::string& word, const std::function<void()>& request) {
    try { // caught for ssh-add's words
        request();
    } catch (const Error& error) {
        throw Error(error.code(), "Failed to " + word + " agent: " + error.what(), error.hint());
    }
    std::cerr << "Agent " << word << "ed.\n";
    return 0;
}

/// @returns true @throws Error if the key does not sign
bool test_key(protocol::Client& agent, const std::string& name) {
    const auto half = read_public_half(name);
    std::optional<std::string> wrong;
    try { // caught for ssh-add's words
        wrong = agent.find_wrong_signature(half.blob);
    } catch (const Error& error) {
        throw Error(error.code(), "Agent signature failed for " + half.shown + ": " + error.what(),
                    error.hint());
    }
    if (wrong)
        throw Error(Errc::malformed, "Signature verification failed for " + half.shown +
                                         ": incorrect signature (" + printable(*wrong) + ")");
    if (!ssh::can_verify(half.blob))
        log::info(printable(half.shown),
                  ": the agent signed; signatures of this type of key are not checked here");
    return true;
}

} // namespace

int add_fingerprints(protocol::Client& agent, const AddOptions& options) {
    return print_list(agent,
                      [&](const protocol::AgentKey& key) { return fingerprint_line(key, options.hash); });
}

int add_public_keys(protocol::Client& agent, const AddOptions&) {
    return print_list(agent, line_of);
}

int add_query(protocol::Client& agent, const AddOptions&) {
    for (const auto& name : agent.query())
        std::cout << printable(name) << '\n';
    return 0;
}

int add_lock(protocol::Client& agent, const AddOptions&) {
    agent.require_trusted_agent();
    const auto password = ask_password("Enter lock password: ");
    if (!same_secret(password, ask_password("Again: ")))
        throw Error(Errc::refused, "Passwords do not match.");
    return tell_lock("lock", [&] { agent.lock(password); });
}

int add_unlock(protocol::Client& agent, const AddOptions&) {
    agent.require_trusted_agent();
    const auto password = ask_password("Enter lock password: ");
    return tell_lock("unlock", [&] { agent.unlock(password); });
}

int add_test(protocol::Client& agent, const AddOptions& options) {
    if (options.files.empty())
        throw Error(Errc::usage, "no keys to test", "-T PUBKEY ...");
    return each_file(options.files, [&](const std::string& file) { return test_key(agent, file); });
}

} // namespace sshtpm::applets
