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

/// Another descriptor of the same file, closed on exec: for Asio, which closes the one that it is given.
/// @param name of the file, for errors
UniqueFd duplicate(int fd, std::string_view name);

/// Repeats a system call for as long as signals interrupt it. @returns its result, with errno as it left it.
template <class Call>
auto uninterrupted(const Call& call) noexcept {
    for (;;) {
        const auto result = call();
        if (result != -1 || errno != EINTR)
            return result;
    }
}

} // namespace sshtpm
