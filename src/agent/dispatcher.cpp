// SPDX-License-Identifier: MIT
#include "agent/dispatcher.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "os/environment.hpp"
#include "os/process.hpp"
#include "prompt/ask.hpp"
#include "protocol/frame.hpp"
#include "protocol/message.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/session.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

namespace sshtpm::agent {

namespace {

constexpr std::array served_extensions{
    protocol::extension::query,       protocol::extension::session_bind,
    protocol::extension::tpm_add_key, protocol::extension::tpm_add_checked_key,
    protocol::extension::tpm_try_pin, protocol::extension::tpm_sign,
    protocol::extension::status,
};

/// As in ssh-agent: a tenth of a second more for each wrong password, ten seconds at most.
std::chrono::milliseconds pause_after(unsigned wrong_passwords) {
    constexpr std::chrono::milliseconds step{100};
    return std::min(time_limits().wrong_password, step * wrong_passwords);
}

Reply shared(Bytes reply) {
    return std::make_shared<const Bytes>(std::move(reply));
}

/// True if the client may be at the other end of agent forwarding, and is refused. Logs this once for each
/// connection, because the host there could fill the log.
bool is_refused_as_forwarded(Client& client, const std::string& what) {
    if (!client.sessions.attempted())
        return false;
    if (!std::exchange(client.forwarded_refused, true))
        log::info("refused ", what, ", which came over a forwarded connection");
    return true;
}

/// @throws Refused
void require_local(Client& client, const std::string& what) {
    if (is_refused_as_forwarded(client, what))
        throw Refused("refused " + what + ", which came over a forwarded connection",
                      "give the command on the machine where the agent runs");
}

Error ended_meanwhile() {
    return {Errc::refused, "meanwhile the agent was locked, or the key was removed"};
}

/// The same key with the comment that the client gave it.
IdentityPtr renamed(const identity::Identity& identity, std::string comment) {
    return std::make_shared<const identity::Identity>(
        identity::Identity{.public_key = identity.public_key,
                           .verifier = ssh::Verifier(identity.public_key),
                           .certificate = {},
                           .comment = std::move(comment),
                           .key = identity.key});
}

/// "key SHA256:… (ED25519)", for a key of any type.
std::string name_of_key(ByteView blob) {
    try { // caught because the type may be unknown, and the client may send anything
        const auto description = ssh::describe(blob);
        return "key " + ssh::fingerprint(description.plain_blob) + " (" + description.label + ")";
    } catch (const Error&) {
        return "key " + ssh::fingerprint(blob);
    }
}

std::string word_of(std::optional<prompt::Asker> asker) {
    return !asker                             ? "gone"
           : asker == prompt::Asker::askpass  ? "askpass"
           : asker == prompt::Asker::terminal ? "terminal"
                                              : "nobody";
}

/// The algorithm that a client asks for, as far as its request tells: by the flags for RSA, else by the key's
/// type.
std::string name_of_algorithm(const protocol::SignRequest& request) {
    try { // caught because the client may send anything
        const auto type = wire::Reader(request.key_blob).text();
        auto known = ssh::key_type_named(type);
        if (!known)
            known = ssh::key_type_of_certificate(type);
        if (!known)
            return printable(type, 64);
        const auto algorithm = algorithm_for(*known, request);
        return std::string(algorithm ? algorithm->name : "ssh-rsa");
    } catch (const Error&) {
        return "no algorithm";
    }
}

} // namespace

Dispatcher::Dispatcher(const asio::any_io_executor& loop, KeyStore& keys, KeyFolder& folder, TpmService& tpm,
                       prompt::PrompterClient& prompter, KeyPolicy policy,
                       std::vector<std::shared_ptr<Upstream>> upstreams, PasswordHash::Cost lock_cost)
    : loop_(loop), keys_(keys), folder_(folder), tpm_(tpm), prompter_(prompter), policy_(policy),
      upstreams_(std::move(upstreams)), lock_(lock_cost), broker_(loop, keys, tpm, prompter),
      signer_(broker_, tpm), failure_(shared(protocol::framed(Bytes{protocol::SSH_AGENT_FAILURE}))),
      success_(shared(protocol::framed(Bytes{protocol::SSH_AGENT_SUCCESS}))),
      extension_failure_(shared(protocol::framed(Bytes{protocol::SSH_AGENT_EXTENSION_FAILURE}))),
      empty_list_(shared(protocol::identities_reply({}))),
      query_(shared(protocol::query_reply(served_extensions))) {}

Client Dispatcher::new_client(os::Peer peer) const {
    return Client{.peer = peer, .upstreams = Upstreams(upstreams_)};
}

Reply Dispatcher::handle_at_once(ByteView message, const Client& client) const {
    if (message.front() != protocol::SSH_AGENTC_REQUEST_IDENTITIES)
        return nullptr;
    if (locked())
        return empty_list_;
    if (!upstreams_.empty())
        return nullptr;
    return keys_.is_listing_fixed() ? keys_.listing() : shared(listing_of(keys_.visible(client.sessions)));
}

/// A locked agent only serves requests to unlock it, session-binds, and requests for its status.
bool Dispatcher::may_be_served(const protocol::Request& request) const {
    return !locked() || std::holds_alternative<protocol::Unlock>(request) ||
           std::holds_alternative<protocol::StatusRequest>(request) ||
           std::holds_alternative<protocol::SessionBind>(request) ||
           std::holds_alternative<protocol::BrokenSessionBind>(request);
}

asio::awaitable<Response> Dispatcher::handle(ByteView message, Client& client) {
    try { // caught so that the request fails and the connection lives on
        auto request = protocol::parse_request(message);
        if (!may_be_served(request))
            co_return failure_;
        // Named: GCC 12 destroys the captures of a lambda written inside a co_await expression twice.
        const Call call{message, client};
        const auto pick = [&](auto& parsed) { return serve(std::move(parsed), call); };
        auto served = std::visit(pick, request);
        co_return co_await std::move(served);
    } catch (const Refused& refusal) {
        if (protocol::wants_explanation(message))
            co_return shared(protocol::explained_failure(refusal));
    } catch (const Error& error) {
        log::report(error);
        if (protocol::wants_explanation(message))
            co_return shared(protocol::explained_failure(error));
    } catch (const SystemError& error) {
        if (error.code() == asio::error::operation_aborted)
            throw; // the client has gone and needs no answer
        log::error("a request failed: ", error.code().message());
    } catch (const std::exception& error) {
        log::error("a request failed: ", error.what());
    }
    co_return failure_;
}

/// Lets the upstream agents answer. @param blob of the key; empty for none
Dispatcher::Answer Dispatcher::forward(Call call, ByteView blob) {
    auto answer = co_await call.client.upstreams.first_answer(call.message, blob);
    co_return answer ? shared(protocol::framed(*answer)) : failure_;
}

/// Lets an upstream agent take keys.
Dispatcher::Answer Dispatcher::forward_key(Call call, std::string description) {
    Bytes limited;
    if (policy_.default_lifetime) {
        limited = protocol::with_lifetime(call.message, *policy_.default_lifetime);
        call.message = limited;
    }
    auto reply = co_await forward(call, {});
    if (reply.frame == failure_)
        log::info("refused ", description, "; no upstream agent took it");
    co_return reply;
}

Dispatcher::Answer Dispatcher::serve(protocol::RequestIdentities, Call call) {
    const auto own = [this, &sessions = call.client.sessions] { return keys_.visible(sessions); };
    auto reply = co_await call.client.upstreams.list(own);
    co_return locked() ? empty_list_ : shared(std::move(reply)); // the agent may be locked now
}

Dispatcher::Answer Dispatcher::sign(protocol::SignRequest request, Call call) {
    const bool explained = std::exchange(request.explained, false); // upstream agents get a plain request
    if (explained)
        require_local(call.client, "a request by tpm-sign@ssh-tpm");
    auto entry = keys_.find(request.key_blob);
    if (entry) {
        entry = folder_.refreshed(entry);
        if (!entry) {
            log::info("sign: the key has gone with its file");
            throw Refused("the key has gone with its file");
        }
    }
    const auto use = keys_.use(loop_, entry, request.key_blob);
    if (!entry) {
        Bytes plain;
        if (explained)
            call.message = plain = protocol::sign_request(request);
        const auto reply = co_await while_in_use(use, forward(call, request.key_blob));
        if (explained && reply.frame == failure_)
            throw Refused(upstreams_.empty()
                              ? "the agent does not have this key"
                              : "the agent does not have this key, and no upstream agent signs with it");
        co_return Response(reply.frame ? reply.frame : failure_, use);
    }
    const auto signature = co_await signer_.sign(use, std::move(request), call.client);
    if (!signature)
        co_return Response(explained ? shared(protocol::explained_failure(ended_meanwhile())) : failure_,
                           use);
    co_return Response(shared(protocol::sign_reply(*signature)), use);
}

/// "FILE, rsa-sha2-512, for ssh (pid 4711), child of …"
std::string Dispatcher::description_of(const protocol::SignRequest& request, const Client& client) const {
    const auto entry = keys_.find(request.key_blob);
    return (entry ? entry->identity->name() : name_of_key(request.key_blob))
        .append(", ")
        .append(name_of_algorithm(request))
        .append(", for ")
        .append(Requester(client, request.data).program());
}

/// Signs, and logs one line for it with -d.
Dispatcher::Answer Dispatcher::serve(protocol::SignRequest request, Call call) {
    if (log::level() < log::Level::debug)
        co_return co_await sign(std::move(request), call);
    const auto description = description_of(request, call.client);
    const auto tell = [&](std::string_view outcome, std::string_view reason = {}) {
        log::debug("sign: ", description, ": ", outcome, reason);
    };
    try { // caught to log it
        auto response = co_await sign(std::move(request), call);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            tell("given up: the client has gone");
        else if (response.use && response.use->ended())
            tell("refused: the agent was locked, or the key is gone");
        else
            tell(response.frame == failure_              ? "refused"
                 : response.use && response.use->entry() ? "signed"
                                                         : "answered by an upstream agent");
        co_return response;
    } catch (const SystemError& error) {
        const bool gone = error.code() == asio::error::operation_aborted;
        tell(gone ? "given up: the client has gone" : "failed: ", gone ? "" : error.code().message());
        throw;
    } catch (const Error& error) { // its line in the log follows
        tell(error.code() == Errc::refused ? "refused" : "failed");
        throw;
    } catch (const std::exception& error) {
        tell("failed: ", error.what());
        throw;
    }
}

/// Adds an entry that a client gives.
void Dispatcher::add(KeyEntry entry, protocol::Constraints constraints) {
    if (!constraints.lifetime)
        constraints.lifetime = policy_.default_lifetime;
    entry.dies = end_from_now(constraints);
    entry.constraints = std::move(constraints);
    log::info(entry.certificate ? "added a certificate of key '" : "added key '",
              printable(entry.identity->comment), "'");
    folder_.add(std::move(entry));
}

/// False if the store has an entry that this connection may not see.
bool Dispatcher::may_replace(ByteView blob, const Client& client) const {
    const auto entry = keys_.find_entry(blob);
    return !entry || protocol::may_see(entry->constraints, client.sessions);
}

asio::awaitable<IdentityPtr> Dispatcher::sealed(ssh::PrivateKey key) {
    auto comment = printable(key.comment, max_comment);
    const auto held = keys_.find_key(key.public_key);
    if (held && held->origin == KeyEntry::Origin::sealed) // ssh-add sends the key again with its certificate
        co_return renamed(*held->identity, std::move(comment));
    co_return co_await tpm_.seal(std::move(key), std::move(comment));
}

Dispatcher::Answer Dispatcher::serve(protocol::AddIdentity request, Call call) {
    KeyEntry entry{.identity = nullptr,
                   .certificate = std::move(request.key.certificate),
                   .origin = KeyEntry::Origin::sealed};
    try { // caught because an upstream agent may accept the key
        if (policy_.seal)
            entry.identity = co_await sealed(std::move(request.key.key));
    } catch (const Error& error) {
        if (error.code() != Errc::unsupported)
            throw;
        log::info("a private key that a client sent: ", printable(error.what()));
    }
    if (!entry.identity)
        co_return co_await forward_key(call, "a private key that this agent does not take");
    if (locked() || !may_replace(entry.blob(), call.client))
        co_return failure_;
    add(std::move(entry), std::move(request.constraints));
    co_return success_;
}

Dispatcher::Answer Dispatcher::serve(protocol::AddForeignIdentity request, Call call) {
    return forward_key(call, "a private key of type " + request.type + ", which no TPM holds");
}

/// Adds a key file of this TPM.
Dispatcher::Answer Dispatcher::serve(protocol::TpmAddKey request, Call call) {
    require_local(call.client, "a key file");
    auto identity = identity::make_identity(keyfile::parse_key_file(request.key_file), {});
    identity::tell_fixed_hash(identity);
    KeyEntry entry{.identity = std::make_shared<const identity::Identity>(std::move(identity))};
    if (!request.certificate.empty()) {
        entry.certificate = ssh::Certificate::from_blob(request.certificate);
        if (!(entry.certificate->public_key == entry.identity->public_key))
            throw Error(Errc::malformed, "the certificate belongs to another key than the one sent with it");
    }
    if (request.checked) {
        co_await tpm_.try_loading(entry.identity);
        if (locked())
            throw ended_meanwhile();
    }
    add(std::move(entry), std::move(request.constraints));
    co_return success_;
}

Dispatcher::Answer Dispatcher::serve(protocol::RemoveIdentity request, Call call) {
    const auto entry = keys_.find_entry(request.key_blob);
    if (entry && !protocol::may_see(entry->constraints, call.client.sessions))
        co_return failure_;
    if (entry) {
        keys_.remove(request.key_blob);
        log::info("removed key '", printable(entry->identity->comment), "'");
    }
    const auto there = co_await call.client.upstreams.remove(call.message, request.key_blob);
    keys_.end_upstream_uses(request.key_blob);
    co_return answer(there == Removal::done || (entry && there == Removal::none));
}

Dispatcher::Answer Dispatcher::serve(protocol::RemoveAllIdentities, Call call) {
    keys_.clear();
    log::info("removed all keys");
    const auto there = co_await call.client.upstreams.remove(call.message, {});
    keys_.end_upstream_uses(); // of requests that began before the upstream agents removed their keys
    co_return answer(there != Removal::unconfirmed);
}

Dispatcher::Answer Dispatcher::serve(protocol::Lock request, Call) {
    if (locked() || request.password.empty())
        co_return failure_;
    keys_.end_uses();
    keys_.forget_all_pins();
    const bool done = co_await lock_.lock(std::move(request.password));
    log::info("locked");
    co_return answer(done);
}

Dispatcher::Answer Dispatcher::serve(protocol::Unlock request, Call call) {
    const bool was_locked = locked();
    const bool unlocked = co_await lock_.unlock(std::move(request.password));
    log::info(unlocked ? "unlocked" : "not unlocked");
    if (was_locked && !unlocked) { // only this client waits
        asio::steady_timer pause(loop_, pause_after(++call.client.wrong_passwords));
        co_await pause.async_wait(asio::use_awaitable);
    } else {
        call.client.wrong_passwords = 0;
    }
    co_return answer(unlocked);
}

Dispatcher::Answer Dispatcher::serve(protocol::Query, Call) {
    co_return query_;
}

/// The facts that `ssh-tpm doctor` shows. A locked agent leaves out the numbers of its keys.
protocol::AgentStatus Dispatcher::status(std::optional<prompt::Asker> asker) const {
    protocol::AgentStatus out{
        {"version", SSHTPM_VERSION},
        {"pid", std::to_string(::getpid())},
        {"locked", locked() ? "yes" : "no"},
        {"asker", word_of(asker)},
        {"askpass", prompt::askpass_program()},
        {"display", os::has_variable("DISPLAY") || os::has_variable("WAYLAND_DISPLAY") ? "yes" : "no"},
        {"sandbox", sandbox_},
        {"memory-locked", Secret(1).locked() ? "yes" : "no"},
    };
    if (locked())
        return out;
    const auto count = [&](auto holds) {
        return std::to_string(
            std::ranges::count_if(keys_.entries(), [&](const KeyEntryPtr& entry) { return holds(*entry); }));
    };
    out["keys"] = count([](const KeyEntry& entry) { return !entry.certificate; });
    out["keys-with-pin"] =
        count([](const KeyEntry& entry) { return !entry.certificate && entry.identity->needs_pin(); });
    out["pins"] = count([](const KeyEntry& entry) { return entry.pin.has_value(); });
    out["certificates"] = count([](const KeyEntry& entry) { return entry.certificate.has_value(); });
    return out;
}

Dispatcher::Answer Dispatcher::serve(protocol::StatusRequest, Call call) {
    if (is_refused_as_forwarded(call.client, "a request for the agent's status"))
        co_return extension_failure_;
    const auto asker = co_await prompter_.who();
    co_return shared(protocol::status_reply(status(asker)));
}

Dispatcher::Answer Dispatcher::serve(protocol::SessionBind request, Call call) {
    const auto known = call.client.sessions.sessions().size();
    const bool failed_before = call.client.sessions.failed();
    if (call.client.sessions.bind(request)) {
        if (call.client.sessions.sessions().size() > known) // not a session that was bound before
            call.client.upstreams.bound(request);
        co_return success_;
    }
    if (!failed_before) // once for each connection: the host at its other end could fill the log
        log::error("refused to bind a connection to a session");
    call.client.upstreams.bind_refused();
    co_return extension_failure_;
}

Dispatcher::Answer Dispatcher::serve(protocol::BrokenSessionBind, Call call) {
    if (!call.client.sessions.failed()) // likewise
        log::error("refused a session-bind that does not parse");
    call.client.sessions.note_failure();
    call.client.upstreams.bind_refused();
    co_return extension_failure_;
}

Dispatcher::Answer Dispatcher::serve(protocol::TpmTryPin request, Call call) {
    auto& client = call.client;
    require_local(client, "a PIN");
    const auto entry = keys_.find(request.key_blob);
    if (!entry)
        throw Error(Errc::not_found, "the agent does not have this key");
    const auto use = keys_.use(loop_, entry, request.key_blob);
    auto pin = tpm::to_auth(std::move(request.pin));
    const auto trial =
        co_await while_in_use(use, broker_.try_given_pin(use, std::move(pin), client.tries_told));
    if (use->ended())
        throw ended_meanwhile();
    if (trial.outcome == protocol::PinOutcome::wrong)
        log::error("a wrong PIN for ", entry->identity->name(), ", given by ",
                   os::describe_process(client.peer.pid), ": ", trial.text);
    if (trial.tries_left != protocol::unknown_tries) // a right PIN does not change the number
        client.tries_told = trial.tries_left;
    co_return shared(protocol::try_pin_reply(trial.outcome, trial.tries_left, trial.text));
}

/// PKCS#11 tokens are for upstream agents: this one loads no provider. Like an extension, a provider may do
/// anything on this machine, so clients of forwarded connections have none.
Dispatcher::Answer Dispatcher::serve(protocol::Smartcard request, Call call) {
    require_local(call.client, "a request about a PKCS#11 provider");
    if (request.removes) {
        const auto there = co_await call.client.upstreams.remove(call.message, {});
        co_return answer(there == Removal::done);
    }
    co_return co_await forward_key(call, "a PKCS#11 provider, which this agent does not load");
}

Dispatcher::Answer Dispatcher::serve(protocol::UnknownExtension request, Call call) {
    log::debug("no extension of this agent: ", request.name);
    require_local(call.client, "extension " + request.name);
    co_return co_await forward(call, {});
}

Dispatcher::Answer Dispatcher::serve(protocol::Unsupported request, Call) {
    log::debug("message ", request.number, " is not supported");
    co_return failure_;
}

} // namespace sshtpm::agent
