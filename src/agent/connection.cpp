// SPDX-License-Identifier: MIT
#include "agent/connection.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/time_limits.hpp"
#include "protocol/frame.hpp"

#include <cstdint>
#include <optional>

namespace sshtpm::agent {

namespace {

asio::mutable_buffer buffer(std::span<std::uint8_t> bytes) {
    return {bytes.data(), bytes.size()};
}

/// Reads the bytes that have arrived. @returns false at the end of the stream
asio::awaitable<bool> read_some(Socket& socket, protocol::FrameBuffer& frames) {
    ErrorCode failure;
    const auto got = co_await socket.async_read_some(buffer(frames.writable()),
                                                     asio::redirect_error(asio::use_awaitable, failure));
    frames.wrote(got);
    co_return !failure;
}

/// @returns the next message; nothing if the client has gone, or does not finish a frame in time
asio::awaitable<std::optional<ByteView>> next_message(Socket& socket, protocol::FrameBuffer& frames) {
    using namespace asio::experimental::awaitable_operators;
    std::optional<asio::steady_timer> deadline;
    for (;;) {
        if (const auto message = frames.next())
            co_return message;
        bool more = false;
        if (!frames.begun()) {
            more = co_await read_some(socket, frames);
        } else {
            if (!deadline)
                deadline.emplace(socket.get_executor(), time_limits().frame);
            const auto outcome =
                co_await (read_some(socket, frames) || deadline->async_wait(asio::use_awaitable));
            if (outcome.index() == 1)
                log::debug("a client did not finish its frame in time");
            more = outcome.index() == 0 && std::get<0>(outcome);
        }
        if (!more)
            co_return std::nullopt;
    }
}

/// Returns when the client has closed its end.
asio::awaitable<void> hung_up(Socket& socket) {
    ErrorCode ignored;
    co_await socket.async_wait(Socket::wait_error, asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<std::size_t> write_all(Socket& socket, ByteView bytes) {
    co_return co_await asio::async_write(socket, asio::buffer(bytes.data(), bytes.size()),
                                         asio::use_awaitable);
}

/// @returns false if the use of the key has ended while a part of the signature was not sent
asio::awaitable<bool> send(Socket& socket, const Response& response) {
    ByteView frame(*response.frame);
    if (!response.use) {
        co_await write_all(socket, frame);
        co_return true;
    }
    // Sends at once, before another request can end the use of the key. This usually sends everything.
    ErrorCode failure;
    frame = frame.subspan(socket.write_some(asio::buffer(frame.data(), frame.size()), failure));
    if (failure && failure != asio::error::would_block)
        throw SystemError(failure);
    if (frame.empty())
        co_return true;
    const auto sent = co_await while_in_use(response.use, write_all(socket, frame));
    co_return sent == frame.size();
}

/// Answers a request that has to wait. The same coroutine sends the reply, so that no other request runs
/// between the last check of the key's use and the sending.
/// @returns false if the connection must be closed
asio::awaitable<bool> answer(Socket& socket, Dispatcher& dispatcher, ByteView message, Client& client) {
    const auto response = co_await dispatcher.handle(message, client);
    try { // caught because `||` below waits for an end without an exception
        const bool sent = co_await send(socket, response);
        co_return sent;
    } catch (const SystemError& error) {
        log::debug("a client went away: ", error.code().message());
    }
    co_return false;
}

/// Like `answer`, but stops if the client hangs up, so that no person is asked for a PIN in vain. The message
/// stays valid, because nothing is read before its reply.
asio::awaitable<bool> answer_while_connected(Socket& socket, Dispatcher& dispatcher, ByteView message,
                                             Client& client) {
    using namespace asio::experimental::awaitable_operators;
    const auto outcome = co_await (answer(socket, dispatcher, message, client) || hung_up(socket));
    if (const bool* answered = std::get_if<0>(&outcome))
        co_return *answered;
    co_return false;
}

} // namespace

asio::awaitable<void> serve(Socket socket, os::Peer peer, Permit, Dispatcher& dispatcher) {
    try { // caught to drop only this client
        protocol::FrameBuffer frames;
        auto client = dispatcher.new_client(peer);
        socket.non_blocking(true);
        while (const auto message = co_await next_message(socket, frames)) {
            if (auto reply = dispatcher.handle_at_once(*message, client)) {
                co_await write_all(socket, *reply);
                continue;
            }
            const bool answered = co_await answer_while_connected(socket, dispatcher, *message, client);
            if (!answered)
                co_return;
        }
    } catch (const Error& error) {
        log::debug("a client was dropped: ", error.what());
    } catch (const SystemError& error) {
        log::debug("a client went away: ", error.code().message());
    } catch (const std::exception& error) { // for example, no memory
        log::error("a client was dropped: ", error.what());
    }
}

} // namespace sshtpm::agent
