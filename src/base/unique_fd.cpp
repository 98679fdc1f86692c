// SPDX-License-Identifier: MIT
#include "base/unique_fd.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace sshtpm {

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0)
        ::close(fd_); // not repeated after EINTR: Linux has released the descriptor by then
    fd_ = fd;
}

UniqueFd duplicate(int fd, std::string_view name) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy)
        throw Error::from_errno(errno, name);
    return copy;
}

} // namespace sshtpm
