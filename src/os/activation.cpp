#include "os/activation.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

constexpr const char* hint =
    "LISTEN_PID and LISTEN_FDS are systemd's, for a .socket unit with one ListenStream=; "
    "unset them to start without it";

int option_of(int socket, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

void expect_listening_unix_socket(int socket) {
    if (option_of(socket, SO_DOMAIN) != AF_UNIX || option_of(socket, SO_TYPE) != SOCK_STREAM ||
        option_of(socket, SO_ACCEPTCONN) != 1)
        throw Error(Errc::usage, "descriptor 3 is not a listening UNIX stream socket, but LISTEN_FDS says so",
                    hint);
}

void set_flags(int socket) {
    const int flags = ::fcntl(socket, F_GETFL);
    if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::fcntl(socket, F_SETFD, FD_CLOEXEC) != 0)
        throw Error::from_errno(errno, "the socket from systemd");
}

} // namespace

std::optional<UniqueFd> activated_socket() {
    const auto process = take_variable("LISTEN_PID").value_or(""), own = std::to_string(::getpid());
    const auto count = take_variable("LISTEN_FDS");
    take_variable("LISTEN_FDNAMES");
    if (!count)
        return std::nullopt;
    if (process != own)
        throw Error(Errc::usage,
                    "LISTEN_PID is \"" + printable(process, 20) + "\", and this process is " + own, hint);
    if (*count != "1")
        throw Error(Errc::usage,
                    "LISTEN_FDS is \"" + printable(*count, 20) + "\", and one socket is expected", hint);
    expect_listening_unix_socket(first_passed_descriptor);
    set_flags(first_passed_descriptor);
    return UniqueFd(first_passed_descriptor);
}

} // namespace sshtpm::os
