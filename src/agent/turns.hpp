#pragma once
// A number of turns at something, and those who wait for one.

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/channel.hpp>

namespace sshtpm::agent {

/// One turn, given back when it goes.
class Turn {
  public:
    /// Holds one message for each turn that is out.
    using Channel = boost::asio::experimental::channel<void(boost::system::error_code)>;

    explicit Turn(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
    Turn(Turn&&) = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn();

  private:
    std::shared_ptr<Channel> channel_;
};

class Turns {
  public:
    Turns(const boost::asio::any_io_executor& loop, std::size_t count)
        : channel_(std::make_shared<Turn::Channel>(loop, count)) {}

    /// Waits until one is free. Those who wait are served in their order; cancelling gives up the place.
    boost::asio::awaitable<Turn> take() const;

  private:
    std::shared_ptr<Turn::Channel> channel_;
};

} // namespace sshtpm::agent
