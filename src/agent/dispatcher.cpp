#include "agent/dispatcher.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "os/process.hpp"
#include "protocol/added_key.hpp"
#include "protocol/frame.hpp"
#include "protocol/parse.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "tpm/pin.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr std::array served_extensions{
    protocol::extension::query,
    protocol::extension::session_bind,
    protocol::extension::tpm_add_key,
    protocol::extension::tpm_try_pin,
};

/// ssh-agent's own: a tenth of a second more for each wrong password, ten seconds at most.
std::chrono::milliseconds pause_after(unsigned wrong_passwords) {
    constexpr std::chrono::milliseconds step{100};
    return std::min(time_limits().wrong_password, step * wrong_passwords);
}

Reply shared(Bytes reply) {
    return std::make_shared<const Bytes>(std::move(reply));
}

} // namespace

Dispatcher::Dispatcher(const asio::any_io_executor& loop, State& state, TpmService& tpm, KeyPolicy policy,
                       std::vector<std::shared_ptr<Upstream>> upstreams)
    : loop_(loop), state_(state), upstreams_(std::move(upstreams)),
      default_lifetime_(policy.default_lifetime), signer_(loop, state, tpm),
      key_requests_(state, tpm, policy), failure_(shared(protocol::failure_reply())),
      success_(shared(protocol::success_reply())),
      extension_failure_(shared(protocol::extension_failure_reply())),
      empty_list_(shared(protocol::identities_reply({}))),
      query_(shared(protocol::query_reply(served_extensions))) {}

Client Dispatcher::new_client(os::Peer peer) const {
    return Client{.peer = peer, .upstreams = Upstreams(upstreams_)};
}

Reply Dispatcher::handle_at_once(ByteView message, const Client& client) const {
    const bool at_once = message.front() == protocol::SSH_AGENTC_REQUEST_IDENTITIES &&
                         (upstreams_.empty() || state_.lock.locked());
    return at_once ? listing_for(client) : nullptr;
}

Reply Dispatcher::listing_for(const Client& client) const {
    if (state_.lock.locked())
        return empty_list_;
    if (!state_.keys.restricted())
        return state_.keys.listing();
    return shared(listing_of(state_.keys.visible(client.sessions)));
}

bool Dispatcher::may_be_served(const protocol::Request& request) const {
    return !state_.lock.locked() || std::holds_alternative<protocol::Unlock>(request) ||
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
        auto reply = co_await std::move(served);
        state_.watch_deadlines();
        co_return reply;
    } catch (const Error& error) {
        log::error(printable(error.what(), 1000));
        if (!error.hint().empty())
            log::info("hint: ", error.hint());
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted)
            throw; // the client has gone: nobody to answer
        log::error(error.code().message());
    } catch (const std::exception& error) {
        log::error(error.what());
    }
    co_return failure_;
}

/// Null for a key that is not held or, on this connection, not to be known of.
HeldKeyPtr Dispatcher::find_visible(ByteView blob, const Client& client) const {
    auto line = state_.keys.find(blob);
    return line && protocol::may_see(line->constraints, client.sessions) ? line : nullptr;
}

/// Has the agents behind this one answer.
/// @param blob the key that is meant; empty for none.
Dispatcher::Answer Dispatcher::forward(Call call, ByteView blob) {
    auto answer = co_await call.client.upstreams.first_answer(call.message, blob, call.client.bindings);
    co_return answer ? shared(protocol::framed(*answer)) : failure_;
}

Dispatcher::Answer Dispatcher::forward_key(Call call, std::string what) {
    std::optional<Bytes> limited;
    if (default_lifetime_ && !upstreams_.empty()) {
        limited = protocol::with_lifetime(call.message, *default_lifetime_);
        if (!limited) {
            log::info("refused ", what,
                      ": it would be held without the lifetime of this agent's keys (-t), whose "
                      "place in the message is not known");
            co_return failure_;
        }
        call.message = *limited;
    }
    auto reply = co_await forward(call, {});
    if (reply.frame == failure_)
        log::info("refused ", what, "; no agent behind this one took it");
    co_return reply;
}

Dispatcher::Answer Dispatcher::listing_with_upstreams(Call call) {
    const auto own = [this, &sessions = call.client.sessions] { return state_.keys.visible(sessions); };
    auto reply = co_await call.client.upstreams.list(own, call.client.bindings);
    co_return state_.lock.locked() ? empty_list_
                                   : shared(std::move(reply)); // somebody may have locked meanwhile
}

Dispatcher::Answer Dispatcher::serve(protocol::RequestIdentities, Call call) {
    return listing_with_upstreams(call); // without any, handle_at_once has answered
}

Dispatcher::Answer Dispatcher::serve(protocol::SignRequest request, Call call) {
    auto line = state_.keys.find(request.key_blob);
    if (line) {
        line = state_.current(line);
        if (!line) {
            log::info("sign: the key has gone with its file");
            co_return failure_;
        }
    }
    const auto use = state_.keys.use(loop_, line, request.key_blob);
    if (!line) {
        log::debug("sign: not a key of this agent");
        const auto reply = co_await while_in_use(use, forward(call, request.key_blob));
        co_return Response(reply.frame ? reply.frame : failure_, use);
    }
    const auto signature = co_await signer_.sign(use, std::move(request), call.client);
    co_return Response(signature ? shared(protocol::sign_reply(*signature)) : failure_, use);
}

Dispatcher::Answer Dispatcher::serve(protocol::AddIdentity request, Call call) {
    const auto outcome = co_await key_requests_.add(std::move(request), call.client);
    if (outcome == KeyRequests::Outcome::not_ours)
        co_return co_await forward_key(call, "a private key that this agent does not take");
    co_return answer(outcome == KeyRequests::Outcome::done);
}

Dispatcher::Answer Dispatcher::serve(protocol::AddForeignIdentity request, Call call) {
    return forward_key(call, "a private key of type " + request.type + ", which no TPM holds");
}

Dispatcher::Answer Dispatcher::serve(protocol::RemoveIdentity request, Call call) {
    const auto outcome = key_requests_.remove(request, call.client);
    if (outcome == KeyRequests::Outcome::not_ours) {
        auto reply = co_await forward(call, request.key_blob);
        if (equal(*reply.frame, *success_))
            state_.keys.end_upstream_uses(request.key_blob);
        co_return reply;
    }
    co_return answer(outcome == KeyRequests::Outcome::done);
}

Dispatcher::Answer Dispatcher::serve(protocol::RemoveAllIdentities, Call call) {
    state_.remove_all();
    log::info("removed all keys");
    if (!call.client.upstreams.empty())
        co_await call.client.upstreams.tell_all(call.message, call.client.bindings);
    state_.keys.end_upstream_uses(); // of requests that came before the upstream agents were told
    co_return success_;
}

Dispatcher::Answer Dispatcher::serve(protocol::Lock request, Call) {
    const bool locked = co_await state_.lock.lock(std::move(request.password));
    if (locked)
        log::info("locked");
    co_return answer(locked);
}

Dispatcher::Answer Dispatcher::serve(protocol::Unlock request, Call call) {
    const bool was_locked = state_.lock.locked();
    const bool unlocked = co_await state_.lock.unlock(std::move(request.password));
    log::info(unlocked ? "unlocked" : "not unlocked");
    if (was_locked && !unlocked) { // this client waits, and nobody else
        asio::steady_timer pause(co_await asio::this_coro::executor,
                                 pause_after(++call.client.wrong_passwords));
        co_await pause.async_wait(asio::use_awaitable);
    } else {
        call.client.wrong_passwords = 0;
    }
    co_return answer(unlocked);
}

Dispatcher::Answer Dispatcher::serve(protocol::Query, Call) {
    co_return query_;
}

Dispatcher::Answer Dispatcher::serve(protocol::SessionBind request, Call call) {
    const auto known = call.client.sessions.sessions().size();
    if (call.client.sessions.bind(request)) {
        if (!upstreams_.empty() && call.client.sessions.sessions().size() > known) // not the same one again
            call.client.bindings.accepted(request);
        co_return success_;
    }
    log::error("refused to bind a connection to a session");
    call.client.bindings.refused();
    co_return extension_failure_;
}

Dispatcher::Answer Dispatcher::serve(protocol::BrokenSessionBind, Call call) {
    log::error("refused a session-bind that does not parse");
    call.client.sessions.note_failure();
    call.client.bindings.refused();
    co_return extension_failure_;
}

Dispatcher::Answer Dispatcher::serve(protocol::TpmAddKey request, Call call) {
    co_return answer(key_requests_.add(std::move(request), call.client) == KeyRequests::Outcome::done);
}

Dispatcher::Answer Dispatcher::serve(protocol::TpmTryPin request, Call call) {
    auto line = find_visible(request.key_blob, call.client);
    if (!line || call.client.sessions.attempted())
        co_return extension_failure_;
    const auto use = state_.keys.use(loop_, line, request.key_blob);
    auto pin = tpm::to_auth(std::move(request.pin));
    const auto trial =
        co_await while_in_use(use, signer_.try_pin(use, std::move(pin), call.client.tries_told));
    if (use->ended())
        co_return extension_failure_;
    if (trial.outcome == protocol::PinOutcome::wrong)
        log::error("a wrong PIN for key '", printable(line->identity->comment), "', given by ",
                   os::describe_process(call.client.peer.pid), ": ", trial.text);
    if (trial.tries_left != protocol::unknown_tries) // a right one has changed nothing
        call.client.tries_told = trial.tries_left;
    co_return shared(protocol::try_pin_reply(trial.outcome, trial.tries_left, trial.text));
}

Dispatcher::Answer Dispatcher::serve(protocol::UnknownExtension request, Call call) {
    log::debug("no extension of this agent: ", request.name);
    return forward(call, {});
}

Dispatcher::Answer Dispatcher::serve(protocol::Unsupported request, Call) {
    log::debug("message ", request.number, " is not supported");
    co_return failure_;
}

} // namespace sshtpm::agent
