#include "agent/upstream.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/peer.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds longest_rest{60};

asio::awaitable<void> send(asio::local::stream_protocol::socket& socket, ByteView message) {
    const auto header = wire::Writer().uint32(static_cast<std::uint32_t>(message.size())).bytes();
    const std::array<asio::const_buffer, 2> parts{asio::buffer(header),
                                                  asio::buffer(message.data(), message.size())};
    co_await asio::async_write(socket, parts, asio::use_awaitable);
}

/// The one message that answers the one that was sent.
asio::awaitable<Bytes> receive(asio::local::stream_protocol::socket& socket, protocol::FrameBuffer& frames) {
    for (;;) {
        if (const auto message = frames.next()) {
            if (frames.begun())
                throw Error(Errc::malformed, "more than one answer");
            co_return copy_of(*message);
        }
        const auto memory = frames.writable();
        const auto got =
            co_await socket.async_read_some(asio::buffer(memory.data(), memory.size()), asio::use_awaitable);
        frames.wrote(got);
    }
}

} // namespace

void Upstream::log_once(const std::string& reason) {
    if (!logged_)
        log::info("the agent at ", printable(path_.string()), ": ", printable(reason));
    logged_ = true;
}

void Upstream::answered() {
    if (logged_)
        log::info("the agent at ", printable(path_.string()), " answers");
    logged_ = suspected_ = false;
    rest_ = std::chrono::seconds(1);
    rest_until_ = {};
}

void Upstream::absent(const std::string& reason) {
    log_once(reason);
    listed_.clear();
}

void Upstream::misbehaved(const std::string& reason) {
    log_once(reason);
    suspected_ = true;
    rest_until_ = Clock::now() + rest_;
    rest_ = std::min(rest_ * 2, longest_rest);
}

bool Upstream::due_for_probe() {
    if (!suspected_ || resting())
        return false;
    rest_until_ = Clock::now() + rest_; // while that goes on, and for whoever asks next
    return true;
}

std::vector<protocol::ListedKey> Upstream::take_list(const std::vector<protocol::ListedKey>& keys) {
    auto shown = listed_.take(keys);
    if (!listed_.left_out().empty() && !std::exchange(told_left_out_, true))
        log::error("the agent at ", printable(path_.string()), " lists a key that OpenSSH cannot read (",
                   listed_.left_out(), "); such keys are left out");
    return shown;
}

asio::awaitable<std::optional<Bytes>> UpstreamLink::ask(ByteView message, const Bindings& bindings,
                                                        std::chrono::milliseconds limit) {
    if (upstream_->resting())
        co_return std::nullopt;
    co_return co_await probe(message, bindings, limit);
}

asio::awaitable<std::optional<Bytes>> UpstreamLink::probe(ByteView message, const Bindings& bindings,
                                                          std::chrono::milliseconds limit) {
    using namespace asio::experimental::awaitable_operators;
    if (upstream_->too_many_questions()) {
        upstream_->absent("too many questions at a time; does it lead back here?");
        co_return std::nullopt;
    }
    const Upstream::Question question(*upstream_);
    asio::steady_timer timer(co_await asio::this_coro::executor, limit);
    auto outcome = co_await (try_ask(message, bindings) || timer.async_wait(asio::use_awaitable));
    if (auto* reply = std::get_if<0>(&outcome))
        co_return std::move(*reply);
    upstream_->misbehaved("no answer in " + std::to_string(limit.count()) + " ms");
    co_return std::nullopt;
}

/// Nothing, with a line in the log, when it fails: `||` waits for what ends well.
asio::awaitable<std::optional<Bytes>> UpstreamLink::try_ask(ByteView message, const Bindings& bindings) {
    for (bool fresh = false; !fresh;) {
        fresh = !connection_;
        try {
            auto connection = std::move(connection_);
            if (!connection)
                connection = co_await connect();
            auto reply = co_await ask_on(*connection, message, bindings);
            connection_ = std::move(connection);
            co_return std::move(reply);
        } catch (const boost::system::system_error& failure) {
            if (failure.code() == asio::error::operation_aborted)
                break;
            if (fresh) // an old connection may have broken because that agent was started anew
                upstream_->absent(failure.code().message());
        } catch (const Error& failure) {
            upstream_->misbehaved(failure.what());
            break;
        }
    }
    co_return std::nullopt;
}

asio::awaitable<std::unique_ptr<UpstreamLink::Connection>> UpstreamLink::connect() {
    auto connection = std::make_unique<Connection>(Socket(co_await asio::this_coro::executor));
    co_await connection->socket.async_connect(upstream_->path().string(), asio::use_awaitable);
    const auto peer = os::peer_of(connection->socket.native_handle());
    if (peer.pid == ::getpid())
        throw Error(Errc::usage, "leads back to this agent itself");
    if (!os::may_use_agent(peer)) // private keys may be on their way to it
        throw Error(Errc::permission, "belongs to another user");
    co_return std::move(connection);
}

asio::awaitable<Bytes> UpstreamLink::ask_on(Connection& connection, ByteView message,
                                            const Bindings& bindings) {
    for (; connection.bindings_sent < bindings.messages().size(); ++connection.bindings_sent) {
        co_await send(connection.socket, bindings.messages()[connection.bindings_sent]);
        // Whatever it answers: an agent that does not know the message has no keys that depend on it.
        (void)co_await receive(connection.socket, connection.frames);
    }
    co_await send(connection.socket, message);
    co_return co_await receive(connection.socket, connection.frames);
}

} // namespace sshtpm::agent
