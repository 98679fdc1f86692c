// SPDX-License-Identifier: MIT
#pragma once
// A counting semaphore for coroutines on one loop.

#include "agent/asio.hpp"

#include <memory>
#include <utility>

namespace sshtpm::agent {

/// A permit; the destructor releases it. It may outlive its semaphore.
class Permit {
  public:
    /// Holds one message for each permit in use.
    using Channel = asio::experimental::channel<void(ErrorCode)>;

    explicit Permit(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
    Permit(Permit&&) = default;
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
        if (channel_)
            channel_->try_receive([](const ErrorCode&) {});
    }

  private:
    std::shared_ptr<Channel> channel_;
};

class Semaphore {
  public:
    Semaphore(const asio::any_io_executor& loop, std::size_t count)
        : channel_(std::make_shared<Permit::Channel>(loop, count)) {}

    /// Waits until a permit is free, in the order of the calls.
    asio::awaitable<Permit> acquire() const {
        const auto channel = channel_;
        ErrorCode failure;
        co_await channel->async_send(ErrorCode(), asio::redirect_error(asio::use_awaitable, failure));
        if (failure) // the channel has its own code for a cancelled wait
            throw SystemError(asio::error::operation_aborted);
        co_return Permit(channel);
    }

  private:
    std::shared_ptr<Permit::Channel> channel_;
};

} // namespace sshtpm::agent
