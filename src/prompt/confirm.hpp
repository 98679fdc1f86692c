#pragma once
// Asking a person for a yes or a no. Whatever goes wrong is no yes.

#include "prompt/answer.hpp"

#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// As OpenSSH's ask_permission: through an askpass program and in no other way, because a yes must come from
/// the person at the display and not from a program that writes to one. Nobody is there
/// without DISPLAY, WAYLAND_DISPLAY or SSH_ASKPASS_REQUIRE=force, and with SSH_ASKPASS_REQUIRE=never.
/// Cancelling kills the program. It does not throw.
boost::asio::awaitable<Confirmation> confirm(std::string question);

} // namespace sshtpm::prompt
