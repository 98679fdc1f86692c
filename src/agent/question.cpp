#include "agent/question.hpp"

#include "base/printable.hpp"
#include "os/process.hpp"
#include "protocol/userauth.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/lockout.hpp"

namespace sshtpm::agent {

namespace {

// Texts are appended, not added to a literal: GCC 12 at -O3 warns of overlaps that are not there.

/// In OpenSSH's words, and who asks.
std::string facts(const identity::Identity& identity, const Requester& requester) {
    std::string text("Key fingerprint ");
    return text.append(ssh::fingerprint(identity.public_key.blob())).append(".\n").append(requester.words());
}

std::string quoted(const std::string& comment) {
    return std::string("'").append(printable(comment)).append("'");
}

/// How many are left, and how long one takes to come back.
std::string tries(const std::optional<tpm::Lockout>& lockout) {
    if (!lockout)
        return "The TPM does not say how many tries are left: this may be the LAST TRY before it locks.\n";
    if (lockout->interval == 0)
        return {}; // none is counted
    std::string text = lockout->last_try()
                           ? std::string("LAST TRY: another wrong PIN locks the TPM")
                           : std::to_string(lockout->tries_left()).append(" tries before the TPM locks");
    return text.append("; a try comes back ").append(tpm::every(lockout->interval)).append(".\n");
}

} // namespace

std::string Requester::words() const {
    auto text = std::string("Asked for by ").append(os::describe_process(client_.peer.pid));
    if (!process())
        text += ", from another host";
    if (const auto login = protocol::parse_userauth(data_))
        text.append(", to log in as ").append(quoted(login->user));
    return text + ".\n";
}

std::optional<pid_t> Requester::process() const {
    const auto sessions = client_.sessions.sessions();
    if (sessions.size() > 1 || (!sessions.empty() && sessions.back().is_forwarding))
        return std::nullopt;
    return client_.peer.pid;
}

std::string pin_question(const identity::Identity& identity, const Requester& requester,
                         const std::optional<tpm::Lockout>& lockout, int refused) {
    return facts(identity, requester)
        .append(refused > 0 ? "That PIN is wrong.\n" : "")
        .append(tries(lockout))
        .append("Enter PIN for key ")
        .append(quoted(identity.comment))
        .append(": ");
}

std::string confirm_question(const identity::Identity& identity, const Requester& requester) {
    std::string text("Allow use of key ");
    return text.append(quoted(identity.comment)).append("?\n").append(facts(identity, requester));
}

} // namespace sshtpm::agent
