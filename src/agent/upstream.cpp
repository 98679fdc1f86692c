// SPDX-License-Identifier: MIT
#include "agent/upstream.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"
#include "protocol/frame.hpp"
#include "protocol/message.hpp"
#include "ssh/verify.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_set>
#include <utility>

namespace sshtpm::agent {

namespace {

constexpr std::array<std::uint8_t, 1> list_request{protocol::SSH_AGENTC_REQUEST_IDENTITIES};

asio::awaitable<void> send(Socket& socket, ByteView message) {
    const auto header = wire::Writer().uint32(static_cast<std::uint32_t>(message.size())).bytes();
    const std::array<asio::const_buffer, 2> parts{asio::buffer(header),
                                                  asio::buffer(message.data(), message.size())};
    co_await asio::async_write(socket, parts, asio::use_awaitable);
}

/// @returns the next message
asio::awaitable<Bytes> receive(Socket& socket, protocol::FrameBuffer& frames) {
    for (;;) {
        if (const auto message = frames.next()) {
            auto answer = copy_of(*message);
            if (!frames.begun())
                (void)frames.writable(); // frees the memory of a long message
            co_return answer;
        }
        const auto memory = frames.writable();
        const auto got =
            co_await socket.async_read_some(asio::buffer(memory.data(), memory.size()), asio::use_awaitable);
        frames.wrote(got);
    }
}

/// A UNIX socket connects at once, except if the listener's backlog is full (EAGAIN). No event reports when
/// it has space again, so this tries repeatedly. Asio would take EAGAIN for success.
asio::awaitable<Socket> connect_to(const std::filesystem::path& path) {
    constexpr std::chrono::milliseconds pause{3};
    const auto loop = co_await asio::this_coro::executor;
    UniqueFd fd;
    while (!(fd = os::connect_to(path))) {
        if (errno != EAGAIN)
            throw SystemError(errno, boost::system::system_category());
        co_await asio::steady_timer(loop, pause).async_wait(asio::use_awaitable);
    }
    co_return Socket(loop, asio::local::stream_protocol(), fd.release());
}

} // namespace

Upstream::Upstream(const asio::any_io_executor& loop, std::filesystem::path path)
    : path_(std::move(path)), quick_(loop, 512), patient_(loop, 512), probe_wanted_(loop) {}

void Upstream::want_probe() {
    if (!is_resting())
        probe_wanted_.try_send(ErrorCode());
}

void Upstream::answered() {
    if (std::exchange(logged_, false))
        log::info("the agent at ", printable(path_.string()), " answers");
    left_out_ = false;
    back_off_ = back_off_.zero();
}

void Upstream::absent(const std::string& reason) {
    log_once(reason);
    last_list_.clear();
    left_out_ = false;
    back_off_ = back_off_.zero();
}

void Upstream::failed(const std::string& reason) {
    log_once(reason);
    if (left_out_ && is_resting())
        return;
    left_out_ = true;
    back_off_ = std::max<std::chrono::milliseconds>(back_off_ * 2, std::chrono::seconds(1));
    back_off_ = std::min(back_off_, time_limits().upstream_rest);
    retry_at_ = Clock::now() + back_off_;
}

void Upstream::log_once(const std::string& reason) {
    if (!std::exchange(logged_, true))
        log::info("the agent at ", printable(path_.string()), ": ", printable(reason));
}

bool Upstream::lists(ByteView blob) const {
    const auto found = last_list_.find(std::string(text_of(blob)));
    return found != last_list_.end() && found->second;
}

bool Upstream::is_readable(ByteView blob) {
    const auto reason = ssh::spoils_list(blob);
    if (reason && !std::exchange(unreadable_logged_, true))
        log::error("the agent at ", printable(path_.string()), " lists a key that OpenSSH cannot read (",
                   *reason, "); such keys are left out");
    return !reason;
}

std::vector<protocol::ListedKey> Upstream::take_list(std::vector<protocol::ListedKey> keys) {
    // Each new certificate costs a signature check. A list shows at most this number of new ones; the later
    // lists show the rest.
    constexpr int most_new_certificates = 64;
    int new_certificates = 0;
    std::unordered_map<std::string, bool> list;
    std::erase_if(keys, [&](const protocol::ListedKey& key) {
        std::string blob(text_of(key.blob));
        if (const auto judged = list.find(blob); judged != list.end())
            return !judged->second;
        const auto before = last_list_.find(blob);
        if (before == last_list_.end() && ssh::is_certificate(key.blob) &&
            ++new_certificates > most_new_certificates)
            return true;
        const bool readable = before == last_list_.end() ? is_readable(key.blob) : before->second;
        list.emplace(std::move(blob), readable);
        return !readable;
    });
    last_list_ = std::move(list);
    return keys;
}

/// An open connection; the destructor closes it.
struct UpstreamConnection::Open {
    explicit Open(Socket&& connected) : socket(std::move(connected)), idle(socket.get_executor()) {}

    Socket socket;
    asio::steady_timer idle; ///< set while nobody uses it
    protocol::FrameBuffer frames;
    std::size_t binds_sent = 0;
};

/// @returns null if there is no connection, if it was closed, or if the other agent has sent bytes without a
///     request
std::shared_ptr<UpstreamConnection::Open> UpstreamConnection::take() {
    auto open = std::exchange(open_, nullptr);
    if (!open || !open->socket.is_open())
        return nullptr;
    open->idle.expires_at(asio::steady_timer::time_point::max());
    std::uint8_t byte = 0;
    const bool quiet =
        ::recv(open->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
    return quiet ? open : nullptr;
}

void UpstreamConnection::put_back(std::shared_ptr<Open> open) {
    open->idle.expires_after(time_limits().upstream_idle); // the other agent may have few descriptors
    open->idle.async_wait([weak = std::weak_ptr(open)](const ErrorCode& failure) {
        const auto unused = failure ? nullptr : weak.lock();
        if (!unused || unused->idle.expiry() > std::chrono::steady_clock::now()) // used again since then
            return;
        ErrorCode ignored;
        unused->socket.close(ignored);
    });
    open_ = std::move(open);
}

asio::awaitable<std::shared_ptr<UpstreamConnection::Open>> UpstreamConnection::connect() {
    auto open = std::make_shared<Open>(co_await connect_to(upstream_->path()));
    const auto peer = os::peer_of(open->socket.native_handle());
    if (peer.pid == ::getpid())
        throw Error(Errc::usage, "leads back to this agent itself");
    if (!os::may_use_agent(peer)) // the message may contain a private key
        throw Error(Errc::permission, "belongs to another user");
    co_return open;
}

/// @returns nothing on failure, which is logged. Does not throw, because `||` in `ask` waits for an end
///     without an exception.
asio::awaitable<std::optional<Bytes>>
UpstreamConnection::exchange(ByteView message, std::span<const Bytes> binds, bool patient) {
    try { // caught to fail only this request
        const auto permit = co_await upstream_->permits(patient).acquire();
        auto open = take();
        if (!open) {
            try { // caught because a missing upstream agent costs no time and gets no back-off
                open = co_await connect();
            } catch (const SystemError& failure) {
                if (failure.code() == asio::error::operation_aborted)
                    throw;
                upstream_->absent(failure.code().message());
                co_return std::nullopt;
            } catch (const Error& failure) {
                upstream_->absent(failure.what());
                co_return std::nullopt;
            }
        }
        for (const auto& bind : binds.subspan(open->binds_sent)) {
            co_await send(open->socket, bind);
            // Any answer will do: an agent that does not know the message has no keys that depend on it.
            (void)co_await receive(open->socket, open->frames);
            ++open->binds_sent;
        }
        co_await send(open->socket, message);
        auto answer = co_await receive(open->socket, open->frames);
        if (open->frames.begun())
            throw Error(Errc::malformed, "more than one answer");
        put_back(std::move(open));
        co_return std::move(answer);
    } catch (const SystemError& failure) {
        if (failure.code() != asio::error::operation_aborted)
            upstream_->failed(failure.code().message());
    } catch (const Error& failure) {
        upstream_->failed(failure.what());
    }
    co_return std::nullopt;
}

/// Returns after `limit`. Logs that the agent hangs before a long limit is over, when the client may have
/// left.
asio::awaitable<void> UpstreamConnection::run_out(std::chrono::milliseconds limit) {
    const auto soon = std::min(limit, time_limits().upstream_slow);
    asio::steady_timer timer(co_await asio::this_coro::executor, soon);
    co_await timer.async_wait(asio::use_awaitable);
    if (limit == soon)
        co_return;
    log::info("the agent at ", printable(upstream_->path().string()), " has not answered a request for ",
              soon.count(), " ms; it hangs, or asks a person");
    timer.expires_after(limit - soon);
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<std::optional<Bytes>> UpstreamConnection::ask(ByteView message, std::span<const Bytes> binds,
                                                              std::chrono::milliseconds limit) {
    using namespace asio::experimental::awaitable_operators;
    const bool patient = limit > time_limits().upstream_list;
    auto outcome = co_await (exchange(message, binds, patient) || run_out(limit));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    upstream_->failed("no answer in " + std::to_string(limit.count()) + " ms");
    co_return std::nullopt;
}

asio::awaitable<std::optional<UpstreamConnection::List>>
UpstreamConnection::ask_for_list(std::span<const Bytes> binds, std::chrono::milliseconds limit) {
    auto answer = co_await ask(list_request, binds, limit);
    if (!answer)
        co_return std::nullopt;
    try { // caught to go on with the other upstream agents
        List list;
        list.answer = std::move(*answer);
        list.keys = upstream_->take_list(protocol::read_identities_reply(list.answer));
        co_return std::move(list);
    } catch (const Error& error) {
        upstream_->failed(error.what());
    }
    co_return std::nullopt;
}

asio::awaitable<std::optional<UpstreamConnection::List>>
UpstreamConnection::list(std::span<const Bytes> binds) {
    const bool left_out = upstream_->is_left_out();
    if (left_out)
        upstream_->want_probe();
    if (left_out && !(open_ && open_->socket.is_open()))
        co_return std::nullopt;
    const auto limit = left_out ? time_limits().upstream_quick : time_limits().upstream_list;
    auto list = co_await ask_for_list(binds, limit);
    if (list && !left_out)
        upstream_->answered();
    co_return std::move(list);
}

asio::awaitable<Removal> UpstreamConnection::remove(ByteView message, ByteView blob,
                                                    std::span<const Bytes> binds) {
    const auto limit = time_limits().upstream_list;
    const bool listed_it = upstream_->lists(blob);
    const auto answer = co_await ask(message, binds, limit);
    auto outcome = Removal::none;
    bool answers = answer.has_value(), has_key = false, lists_none = false;
    if (answer && answer->front() == protocol::SSH_AGENT_SUCCESS)
        outcome = Removal::done;
    else if (answer && message.front() == protocol::SSH_AGENTC_REMOVE_ALL_IDENTITIES)
        outcome = Removal::unconfirmed;
    if (!blob.empty()) { // gpg-agent answers with a success, and keeps the key
        const auto list = co_await ask_for_list(binds, limit);
        answers = list.has_value();
        const auto keys =
            list ? protocol::read_identities_reply(list->answer) : std::vector<protocol::ListedKey>{};
        lists_none = keys.empty();
        // Also the keys that clients are not shown.
        has_key = std::ranges::any_of(keys, [&](const auto& key) { return equal(key.blob, blob); });
    }
    // A locked agent refuses, and lists no key. Not left out: the agent is not there.
    const bool may_be_locked = listed_it && answer && outcome == Removal::none && lists_none;
    if (has_key || may_be_locked || (!answers && upstream_->is_left_out()))
        outcome = Removal::unconfirmed;
    if (outcome == Removal::unconfirmed)
        log::error("the agent at ", printable(upstream_->path().string()),
                   has_key ? " still has a key that it was told to remove" : " did not confirm a removal");
    co_return outcome;
}

asio::awaitable<void> probe(std::shared_ptr<Upstream> upstream) {
    for (;;) {
        co_await upstream->probe_wanted_.async_receive(asio::use_awaitable);
        UpstreamConnection connection(upstream);
        const auto list = co_await connection.ask_for_list({}, time_limits().upstream_list);
        if (list)
            upstream->answered();
    }
}

Upstreams::Upstreams(std::span<const std::shared_ptr<Upstream>> upstreams) {
    for (const auto& upstream : upstreams)
        connections_.emplace_back(upstream);
}

void Upstreams::bound(const protocol::SessionBind& bind) {
    if (empty())
        return;
    binds_.push_back(wire::Writer()
                         .byte(protocol::SSH_AGENTC_EXTENSION)
                         .text(protocol::extension::session_bind)
                         .string(bind.host_key)
                         .string(bind.session_id)
                         .string(bind.signature)
                         .byte(bind.is_forwarding ? 1 : 0)
                         .bytes());
}

void Upstreams::bind_refused() {
    if (empty() || std::exchange(refused_, true))
        return;
    // Every agent refuses a bind without a body, and remembers the attempt.
    binds_.push_back(
        wire::Writer().byte(protocol::SSH_AGENTC_EXTENSION).text(protocol::extension::session_bind).bytes());
}

namespace {

/// Runs `work` for all connections at the same time. @returns the results, in their order
template <class Work>
auto with_all(const asio::any_io_executor& loop, std::vector<UpstreamConnection>& connections, Work work) {
    const auto start = [&](UpstreamConnection& each) {
        return asio::co_spawn(loop, work(each), asio::deferred);
    };
    std::vector<decltype(start(connections.front()))> operations;
    for (auto& each : connections)
        operations.push_back(start(each));
    return asio::experimental::make_parallel_group(std::move(operations))
        .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
}

} // namespace

asio::awaitable<Bytes> Upstreams::list(std::function<std::vector<KeyEntryPtr>()> own) {
    const auto ask = [this](UpstreamConnection& each) { return each.list(binds_); };
    const auto loop = co_await asio::this_coro::executor;
    const auto [order, failures, lists] = co_await with_all(loop, connections_, ask);
    const auto entries = own();
    std::vector<protocol::ListedKey> merged;
    std::vector<std::string> comments; // the views in `merged` point into these
    std::unordered_set<std::string_view> seen;
    const auto add = [&](ByteView blob, std::string_view comment) {
        if (seen.insert(text_of(blob)).second)
            merged.push_back({blob, comment});
    };
    for (const auto& entry : entries)
        add(entry->blob(), entry->identity->comment);
    std::size_t listed = 0;
    for (const auto& list : lists)
        listed += list ? list->keys.size() : 0;
    comments.reserve(listed);
    for (const auto& list : lists)
        if (list)
            for (const auto& key : list->keys)
                add(key.blob, comments.emplace_back(printable(key.comment, max_comment)));
    co_return protocol::identities_reply(std::move(merged));
}

asio::awaitable<std::optional<Bytes>> Upstreams::first_answer(ByteView message, ByteView blob) {
    std::vector<UpstreamConnection*> order;
    for (auto& each : connections_)
        order.push_back(&each);
    std::ranges::stable_partition(order, [&](const auto* each) { return each->upstream().lists(blob); });
    std::optional<Bytes> extension_failure;
    for (auto* each : order) {
        // An upstream agent that lists the key may be slow because it asks a person. The others must first
        // answer a list request in time, so that an agent that hangs does not block the request.
        if (!each->upstream().lists(blob)) {
            const auto list = co_await each->list(binds_);
            if (!list)
                continue;
        }
        auto answer = co_await each->ask(message, binds_, time_limits().upstream_request);
        if (answer) // it may have missed a list while it asked a person
            each->upstream().readmit();
        if (answer && answer->front() == protocol::SSH_AGENT_EXTENSION_FAILURE)
            extension_failure = std::move(answer);
        else if (answer && answer->front() != protocol::SSH_AGENT_FAILURE)
            co_return std::move(answer);
    }
    co_return std::move(extension_failure);
}

asio::awaitable<Removal> Upstreams::remove(ByteView message, ByteView blob) {
    if (empty())
        co_return Removal::none;
    const auto tell = [&](UpstreamConnection& each) { return each.remove(message, blob, binds_); };
    const auto loop = co_await asio::this_coro::executor;
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const auto [order, failures, outcomes] = co_await with_all(loop, connections_, tell);
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    for (const auto& failure : failures)
        if (failure)
            std::rethrow_exception(failure);
    co_return std::ranges::max(outcomes);
}

} // namespace sshtpm::agent
