// SPDX-License-Identifier: MIT
#pragma once
// The owner of a file descriptor, and system calls that signals do not interrupt.

#include <cerrno>
#include <string_view>
#include <utility>

namespace sshtpm {

class UniqueFd {
  public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other)
            reset(other.release());
        return *this;
    }
    ~UniqueFd() { reset(); }

    int value() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// The caller closes the descriptor.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;

  private:
    int fd_ = -1;
};

/// Duplicates a descriptor, closed on exec. For Asio, which closes the descriptors that it gets.
/// @param name the file's name, for errors
UniqueFd duplicate(int fd, std::string_view name);

/// Repeats a system call while signals interrupt it (EINTR). @returns the result of the last call, with its
/// errno
template <class Call>
auto uninterrupted(const Call& call) noexcept {
    for (;;) {
        const auto result = call();
        if (result != -1 || errno != EINTR)
            return result;
    }
}

} // namespace sshtpm
