#include "agent/key_requests.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/traces.hpp"
#include "protocol/permission.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

std::string comment_of(const ssh::PrivateKey& key) {
    return printable(key.comment, max_comment);
}

bool is_same_file(const HeldKeyPtr& held, const keyfile::KeyFile& key) {
    return held && equal(tpm::view_of(held->identity->key->private_area), tpm::view_of(key.private_area));
}

/// The same key under the name that the client gave it.
IdentityPtr renamed(const IdentityPtr& identity, const std::string& comment) {
    if (identity->comment == comment)
        return identity;
    return std::make_shared<const identity::Identity>(
        identity::Identity{.public_key = identity->public_key,
                           .verifier = ssh::Verifier(identity->public_key),
                           .certificate = identity->certificate,
                           .comment = comment,
                           .key = identity->key,
                           .file = identity->file,
                           .stamp = identity->stamp});
}

} // namespace

bool KeyRequests::may_replace(ByteView blob, const Client& client) const {
    const auto line = state_.keys.find_line(blob);
    return !line || protocol::may_see(line->constraints, client.sessions);
}

void KeyRequests::hold(HeldKey key, protocol::Constraints constraints) {
    if (!constraints.lifetime)
        constraints.lifetime = policy_.default_lifetime;
    // Nor do a client's constraints undo what the agent was told of its folder.
    constraints.confirm = constraints.confirm || state_.confirms(key.identity->public_key);
    if (constraints.lifetime)
        key.dies = os::BootClock::now() + std::chrono::seconds(*constraints.lifetime);
    key.constraints = std::move(constraints);
    // A certificate signs for its key, so it counts beside all lines of that.
    if (state_.keys.would_loosen(key))
        state_.pins.forget(key.identity->public_key);
    log::info(key.certifies() ? "added a certificate of key '" : "added key '",
              printable(key.identity->comment), "'");
    state_.keys.add(std::move(key));
}

asio::awaitable<IdentityPtr> KeyRequests::sealed(ssh::PrivateKey key) {
    forget_traces(); // of parsing it
    const auto comment = comment_of(key);
    const auto held = state_.keys.find_public_key(key.public_key);
    if (held && held->origin == HeldKey::Origin::sealed) // a certificate comes with its key once more
        co_return renamed(held->identity, comment);
    co_return co_await tpm_.seal(std::move(key), comment);
}

asio::awaitable<KeyRequests::Outcome> KeyRequests::add(protocol::AddIdentity request, const Client& client) {
    if (!policy_.seal)
        co_return Outcome::not_ours;
    HeldKey key{.identity = nullptr,
                .certificate = std::move(request.key.certificate),
                .origin = HeldKey::Origin::sealed};
    try { // caught for the keys that another agent may take
        key.identity = co_await sealed(std::move(request.key.key));
    } catch (const Error& error) {
        if (error.code() != Errc::unsupported)
            throw;
        log::info("a private key that a client sent: ", printable(error.what()));
        co_return Outcome::not_ours;
    }
    if (state_.lock.locked() || !may_replace(key.blob(), client))
        co_return Outcome::refused;
    hold(std::move(key), std::move(request.constraints));
    co_return Outcome::done;
}

KeyRequests::Outcome KeyRequests::add(protocol::TpmAddKey request, const Client& client) {
    if (client.sessions.attempted()) {
        log::info("refused a key file that came over a forwarded connection");
        return Outcome::refused;
    }
    auto identity = identity::make_identity(keyfile::parse_key_file(request.key_file), {});
    std::optional<ssh::Certificate> certificate;
    if (!request.certificate.empty()) {
        certificate = ssh::Certificate::from_blob(request.certificate);
        if (!(certificate->public_key == identity.public_key))
            throw Error(Errc::malformed, "a certificate of another key than the one it came with");
    }
    if (!is_same_file(state_.keys.find_public_key(identity.public_key), *identity.key))
        state_.pins.forget(identity.public_key); // another file of the same key may have another PIN
    hold({.identity = std::make_shared<const identity::Identity>(std::move(identity)),
          .certificate = std::move(certificate), // a line of its own: the key comes in a message of its own
          .origin = HeldKey::Origin::client},
         std::move(request.constraints));
    return Outcome::done;
}

KeyRequests::Outcome KeyRequests::remove(const protocol::RemoveIdentity& request, const Client& client) {
    const auto line = state_.keys.find_line(request.key_blob);
    if (!line)
        return Outcome::not_ours;
    if (!protocol::may_see(line->constraints, client.sessions))
        return Outcome::refused;
    state_.remove(request.key_blob);
    log::info("removed key '", printable(line->identity->comment), "'");
    return Outcome::done;
}

} // namespace sshtpm::agent
