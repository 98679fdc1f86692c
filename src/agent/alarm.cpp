#include "agent/alarm.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

Alarm::Alarm(const asio::any_io_executor& loop, Ring ring)
    : ring_(std::move(ring)), timer_(loop, os::boottime_timer().release()) {
    wait();
}

void Alarm::at_latest(std::optional<os::BootClock::time_point> when) {
    if (!when || (set_ && *set_ <= *when))
        return;
    set_ = when;
    os::set_boottime_timer(timer_.native_handle(), *when);
}

void Alarm::wait() {
    timer_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& failure) {
                          if (failure)
                              return;
                          os::disarm_boottime_timer(timer_.native_handle()); // or it would stay readable
                          set_.reset();
                          at_latest(ring_());
                          wait();
                      });
}

} // namespace sshtpm::agent
