#include "base/unique_fd.hpp"

#include <unistd.h>

namespace sshtpm {

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0)
        ::close(fd_); // not repeated on EINTR: Linux has released the descriptor by then
    fd_ = fd;
}

} // namespace sshtpm
