#pragma once
// A call at a time of CLOCK_BOOTTIME, on the loop.

#include "os/boottime.hpp"

#include <functional>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace sshtpm::agent {

class Alarm {
  public:
    /// @param ring called when the time has come; it says when to be called next.
    using Ring = std::function<std::optional<os::BootClock::time_point>()>;

    Alarm(const boost::asio::any_io_executor& loop, Ring ring);
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    /// Rings at this time, or before it.
    void at_latest(std::optional<os::BootClock::time_point> when);

  private:
    void wait();

    Ring ring_;
    boost::asio::posix::stream_descriptor timer_;
    std::optional<os::BootClock::time_point> set_;
};

} // namespace sshtpm::agent
