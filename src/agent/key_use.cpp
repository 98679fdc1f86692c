#include "agent/key_use.hpp"

#include <boost/asio/redirect_error.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

asio::awaitable<void> KeyUse::wait_for_end() {
    boost::system::error_code ignored;
    co_await end_.async_receive(asio::redirect_error(asio::use_awaitable, ignored));
}

} // namespace sshtpm::agent
