#include "os/unix_socket.hpp"

#include "base/error.hpp"

#include <string>

namespace sshtpm::os {

sockaddr_un unix_address(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty())
        throw Error(Errc::usage, "an empty path for a socket");
    if (path.size() >= sizeof address.sun_path)
        throw Error(Errc::usage, std::string(path) + ": longer than a socket's path may be (107 bytes)");
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

} // namespace sshtpm::os
