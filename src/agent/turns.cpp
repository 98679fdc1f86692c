#include "agent/turns.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

Turn::~Turn() {
    if (channel_)
        channel_->try_receive([](const boost::system::error_code&) {});
}

asio::awaitable<Turn> Turns::take() const {
    const auto channel = channel_;
    boost::system::error_code failure;
    co_await channel->async_send(boost::system::error_code(),
                                 asio::redirect_error(asio::use_awaitable, failure));
    if (failure) // the channel has a code of its own for it
        throw boost::system::system_error(asio::error::operation_aborted);
    co_return Turn(channel);
}

} // namespace sshtpm::agent
