#pragma once
// One request's use of a key, and its end.

#include "agent/held_key.hpp"

#include <exception>
#include <memory>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

/// KeyStore makes it, and ends it when the key is removed, expires or comes with other terms, and when the
/// agent is locked. No signature may leave after that. On the loop's thread alone.
class KeyUse {
  public:
    /// @param line null for a key of an upstream agent, which the blob names.
    KeyUse(const boost::asio::any_io_executor& loop, HeldKeyPtr line, Bytes blob)
        : line_(std::move(line)), blob_(std::move(blob)), end_(loop) {}

    const HeldKeyPtr& line() const noexcept { return line_; }
    ByteView blob() const noexcept { return blob_; }
    bool ended() const noexcept { return !end_.is_open(); }
    void end() { end_.close(); }
    /// Returns at the end.
    boost::asio::awaitable<void> wait_for_end();

  private:
    HeldKeyPtr line_;
    Bytes blob_;
    /// Carries no messages; closing it wakes the waiting coroutine.
    boost::asio::experimental::channel<void(boost::system::error_code)> end_;
};

using KeyUsePtr = std::shared_ptr<KeyUse>;

/// Does the work for as long as the use lasts: at its end the work is cancelled.
/// @returns the result; Result{} when the use has ended, also when the work was done just before.
/// @throws what the work throws.
template <class Result>
boost::asio::awaitable<Result> while_in_use(KeyUsePtr use, boost::asio::awaitable<Result> work) {
    namespace asio = boost::asio;
    const auto loop = co_await asio::this_coro::executor;
    auto [order, failure, result, unused] =
        co_await asio::experimental::make_parallel_group(
            asio::co_spawn(loop, std::move(work), asio::deferred),
            asio::co_spawn(loop, use->wait_for_end(), asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (use->ended())
        co_return Result{};
    if (failure)
        std::rethrow_exception(failure);
    co_return std::move(result);
}

} // namespace sshtpm::agent
