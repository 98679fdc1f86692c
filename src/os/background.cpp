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
#include <sys/socket.h>
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

/// Says the one thing that its end of the socket has to say. False when the other process is gone.
bool say(int socket) {
    const std::uint8_t byte = 0;
    ssize_t sent = 0;
    do
        sent = ::send(socket, &byte, 1, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1;
}

/// Waits until the other process has said it. False when that has ended: a socket is readable then too.
bool hear(int socket) {
    std::uint8_t byte = 0;
    ssize_t got = 0;
    do
        got = ::recv(socket, &byte, 1, 0);
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

BackgroundParent::BackgroundParent(pid_t child, UniqueFd socket) noexcept
    : child_(child), socket_(std::move(socket)) {}

std::optional<int> BackgroundParent::wait_until_ready() {
    // The socket alone would not do: a child of the child may hold its other end.
    const auto ended = open_pidfd(child_);
    if (!ended)
        throw Error::from_errno(errno, subject);
    std::array<pollfd, 2> either{pollfd{.fd = socket_.value(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = ended.value(), .events = POLLIN, .revents = 0}};
    while (::poll(either.data(), either.size(), -1) < 0)
        if (errno != EINTR)
            throw Error::from_errno(errno, subject);
    const bool spoken = either[0].revents != 0 && hear(socket_.value());
    return spoken ? std::nullopt : std::optional<int>(failure_of(child_));
}

void BackgroundParent::let_live() {
    if (!say(socket_.value()))
        throw Error(Errc::io, "the agent has ended");
    socket_.reset();
}

void BackgroundParent::let_end() noexcept {
    socket_.reset();
    failure_of(child_);
}

BackgroundChild::BackgroundChild(UniqueFd socket, UniqueFd parent) noexcept
    : socket_(std::move(socket)), parent_(std::move(parent)) {}

void BackgroundChild::ready(bool keep_stderr) {
    const bool said = say(socket_.value());
    if (said && !keep_stderr) // before the answer: what comes of that is told by the parent
        onto_dev_null({STDERR_FILENO});
    if (!said || !hear(socket_.value()))
        throw Error(Errc::io, "the process that started this one has ended");
    socket_.reset();
}

std::variant<BackgroundParent, BackgroundChild> fork_to_background() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw Error::from_errno(errno, subject);
    UniqueFd parents(ends[0]), childs(ends[1]);
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
        return BackgroundParent(child, std::move(parents));
    parents.reset();
    if (::setsid() < 0 || ::chdir("/") != 0)
        throw Error::from_errno(errno, subject);
    onto_dev_null({STDIN_FILENO, STDOUT_FILENO});
    return BackgroundChild(std::move(childs), std::move(parent));
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
