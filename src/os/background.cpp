#include "os/background.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"
#include "os/harden.hpp"
#include "os/pidfd.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::os {

namespace {

constexpr const char* subject = "going to the background";

void onto_dev_null(std::initializer_list<int> descriptors) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int fd : descriptors)
        if (!null || ::dup2(null.value(), fd) < 0)
            throw Error::from_errno(errno, "/dev/null");
}

/// True when the child has said so; it stays readable at its end too.
bool says_ready(int pipe) {
    std::uint8_t byte = 0;
    ssize_t got = 0;
    do
        got = ::read(pipe, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

/// 1 for a child that says nothing and claims success.
int failure_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == 0 ? 1 : WEXITSTATUS(status);
}

} // namespace

BackgroundParent::BackgroundParent(pid_t child, UniqueFd readiness) noexcept
    : child_(child), readiness_(std::move(readiness)) {}

std::optional<int> BackgroundParent::wait_until_ready() {
    // The pipe alone would not do: a child of the child may hold its other end.
    const auto ended = open_pidfd(child_);
    if (!ended)
        throw Error::from_errno(errno, subject);
    std::array<pollfd, 2> either{pollfd{.fd = readiness_.value(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = ended.value(), .events = POLLIN, .revents = 0}};
    while (::poll(either.data(), either.size(), -1) < 0)
        if (errno != EINTR)
            throw Error::from_errno(errno, subject);
    const bool spoken = either[0].revents != 0 && says_ready(readiness_.value());
    readiness_.reset();
    return spoken ? std::nullopt : std::optional<int>(failure_of(child_));
}

BackgroundChild::BackgroundChild(UniqueFd readiness, UniqueFd parent) noexcept
    : readiness_(std::move(readiness)), parent_(std::move(parent)) {}

void BackgroundChild::ready(bool keep_stderr) {
    const std::uint8_t byte = 0;
    ssize_t written = 0;
    do // harden_process has SIGPIPE ignored
        written = ::write(readiness_.value(), &byte, 1);
    while (written < 0 && errno == EINTR);
    if (written != 1)
        throw Error(Errc::io, "the process that started this one has ended");
    readiness_.reset();
    if (!keep_stderr)
        onto_dev_null({STDERR_FILENO});
}

std::variant<BackgroundParent, BackgroundChild> fork_to_background() {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, subject);
    UniqueFd reading(pipe[0]), writing(pipe[1]);
    // Opened here and not by the child, which could find another parent by then.
    auto parent = open_pidfd(::getpid());
    if (!parent)
        throw Error::from_errno(errno, subject);
    std::cout.flush(); // or both would write what is still in the buffers
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0)
        throw Error::from_errno(errno, subject);
    if (child > 0)
        return BackgroundParent(child, std::move(reading));
    reading.reset();
    if (::setsid() < 0 || ::chdir("/") != 0)
        throw Error::from_errno(errno, subject);
    onto_dev_null({STDIN_FILENO, STDOUT_FILENO});
    return BackgroundChild(std::move(writing), std::move(parent));
}

void become_command(const std::vector<std::string>& arguments, const std::vector<std::string>& changes) {
    undo_harden_before_exec();
    auto argument_strings = arguments;
    auto environment_strings = environment_with(changes);
    ::execvpe(arguments.at(0).c_str(), pointers_to(argument_strings).data(),
              pointers_to(environment_strings).data());
    throw Error::from_errno(errno, arguments[0]);
}

} // namespace sshtpm::os
