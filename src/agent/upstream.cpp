#include "agent/upstream.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "os/peer.hpp"
#include "os/unix_socket.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
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
            auto answer = copy_of(*message);
            (void)frames.writable(); // gives the memory of a long one back
            co_return answer;
        }
        const auto memory = frames.writable();
        const auto got =
            co_await socket.async_read_some(asio::buffer(memory.data(), memory.size()), asio::use_awaitable);
        frames.wrote(got);
    }
}

UniqueFd new_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        throw boost::system::system_error(errno, boost::system::system_category());
    return fd;
}

/// A UNIX socket connects at once, or the other end's queue is full (EAGAIN), which no event tells the end
/// of. Asio would take that for success.
asio::awaitable<asio::local::stream_protocol::socket> connect_to(const std::filesystem::path& path) {
    constexpr std::chrono::milliseconds pause{3};
    const auto loop = co_await asio::this_coro::executor;
    const auto address = os::unix_address(path.native());
    auto fd = new_socket();
    while (::connect(fd.value(), os::generic(address), sizeof address) != 0) {
        const int reason = errno;
        if (reason == EINTR)
            continue;
        if (reason != EAGAIN)
            throw boost::system::system_error(reason, boost::system::system_category());
        co_await asio::steady_timer(loop, pause).async_wait(asio::use_awaitable);
    }
    co_return asio::local::stream_protocol::socket(loop, asio::local::stream_protocol(), fd.release());
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

void Upstream::misbehaved(const std::string& reason, Clock::time_point asked) {
    log_once(reason);
    suspected_ = true;
    if (asked < rests_since_)
        return;
    rests_since_ = Clock::now();
    rest_until_ = rests_since_ + rest_;
    rest_ = std::min(rest_ * 2, time_limits().upstream_rest);
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

UpstreamLink UpstreamLink::split() {
    UpstreamLink other(upstream_);
    other.connection_ = std::move(connection_);
    return other;
}

bool UpstreamLink::Connection::quiet() {
    std::uint8_t byte = 0;
    return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/// Null when there is none, or none that is good.
std::shared_ptr<UpstreamLink::Connection> UpstreamLink::take() {
    auto connection = std::move(connection_);
    if (!connection)
        return nullptr;
    connection->in_use = true;
    connection->idle.cancel();
    return connection->socket.is_open() && connection->quiet() ? connection : nullptr;
}

void UpstreamLink::put_back(std::shared_ptr<Connection> connection) {
    connection->in_use = false;
    connection->idle.expires_after(time_limits().upstream_idle);
    connection->idle.async_wait([weak = std::weak_ptr(connection)](const boost::system::error_code& failure) {
        const auto still = failure ? nullptr : weak.lock();
        if (!still || still->in_use)
            return;
        boost::system::error_code ignored;
        still->socket.close(ignored);
    });
    connection_ = std::move(connection);
}

asio::awaitable<std::optional<Bytes>> UpstreamLink::ask(ByteView message, const Bindings& bindings,
                                                        std::chrono::milliseconds limit) {
    using namespace asio::experimental::awaitable_operators;
    if (!upstream_->resting())
        co_return co_await probe(message, bindings, limit);
    if (!connected())
        co_return std::nullopt;
    asio::steady_timer timer(co_await asio::this_coro::executor,
                             std::min(limit, time_limits().upstream_quick));
    auto outcome = co_await (try_ask(message, bindings, false) || timer.async_wait(asio::use_awaitable));
    if (auto* reply = std::get_if<0>(&outcome))
        co_return std::move(*reply);
    co_return std::nullopt;
}

asio::awaitable<std::optional<Bytes>> UpstreamLink::probe(ByteView message, const Bindings& bindings,
                                                          std::chrono::milliseconds limit) {
    using namespace asio::experimental::awaitable_operators;
    const auto begun = Clock::now();
    asio::steady_timer timer(co_await asio::this_coro::executor, limit);
    const bool patient = limit > time_limits().upstream_list; // a person may be asked
    auto outcome = co_await (try_ask(message, bindings, patient) || timer.async_wait(asio::use_awaitable));
    if (auto* reply = std::get_if<0>(&outcome))
        co_return std::move(*reply);
    upstream_->misbehaved("no answer in " + std::to_string(limit.count()) + " ms", begun);
    co_return std::nullopt;
}

/// Nothing, with a line in the log, when it fails: `||` waits for what ends well.
asio::awaitable<std::optional<Bytes>> UpstreamLink::try_ask(ByteView message, const Bindings& bindings,
                                                            bool patient) {
    const auto place = co_await upstream_->places(patient).take();
    const auto begun = Clock::now();
    auto connection = take();
    for (bool fresh = false; !fresh;) {
        fresh = !connection;
        try {
            if (!connection)
                connection = co_await connect();
            auto reply = co_await ask_on(*connection, message, bindings);
            put_back(std::move(connection));
            co_return std::move(reply);
        } catch (const boost::system::system_error& failure) {
            if (failure.code() == asio::error::operation_aborted)
                break;
            // An old connection may have broken because that agent was started anew. But what it may be at
            // work on, or may have asked a person, is not asked twice.
            const bool came_at_once = !connection || !connection->asked ||
                                      (!connection->frames.begun() &&
                                       Clock::now() - *connection->asked <= time_limits().upstream_at_once);
            if (!fresh && came_at_once) {
                connection.reset();
                continue;
            }
            if (patient || came_at_once)
                upstream_->absent(failure.code().message());
            else
                upstream_->misbehaved(failure.code().message(), begun);
            break;
        } catch (const Error& failure) {
            upstream_->misbehaved(failure.what(), begun);
            break;
        }
    }
    co_return std::nullopt;
}

asio::awaitable<std::shared_ptr<UpstreamLink::Connection>> UpstreamLink::connect() {
    auto connection = std::make_shared<Connection>(co_await connect_to(upstream_->path()));
    const auto peer = os::peer_of(connection->socket.native_handle());
    if (peer.pid == ::getpid())
        throw Error(Errc::usage, "leads back to this agent itself");
    if (!os::may_use_agent(peer)) // private keys may be on their way to it
        throw Error(Errc::permission, "belongs to another user");
    co_return connection;
}

asio::awaitable<Bytes> UpstreamLink::ask_on(Connection& connection, ByteView message,
                                            const Bindings& bindings) {
    connection.asked.reset();
    for (; connection.bindings_sent < bindings.messages().size(); ++connection.bindings_sent) {
        co_await send(connection.socket, bindings.messages()[connection.bindings_sent]);
        // Whatever it answers: an agent that does not know the message has no keys that depend on it.
        (void)co_await receive(connection.socket, connection.frames);
    }
    co_await send(connection.socket, message);
    connection.asked = Clock::now();
    co_return co_await receive(connection.socket, connection.frames);
}

} // namespace sshtpm::agent
