// SPDX-License-Identifier: MIT
#include "os/background.hpp"

#include "base/error.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"
#include "os/harden.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::os {

namespace {

constexpr const char* subject = "going to the background";

// Each side sends one byte: the child when it is ready, the parent when the child may go on.

/// False if the other process has ended.
bool send_byte(int socket) {
    const std::uint8_t byte = 0;
    return uninterrupted([&] { return ::send(socket, &byte, 1, MSG_NOSIGNAL); }) == 1;
}

/// Waits for the byte. False if the other process has ended without sending it.
bool receive_byte(int socket) {
    std::uint8_t byte = 0;
    return uninterrupted([&] { return ::recv(socket, &byte, 1, 0); }) == 1;
}

/// Waits for the child's end. @returns its exit status; 1 if it exited with 0 before it was ready
int failure_of(pid_t child) {
    int status = 0;
    if (uninterrupted([&] { return ::waitpid(child, &status, 0); }) < 0)
        return 1;
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == 0 ? 1 : WEXITSTATUS(status);
}

} // namespace

BackgroundParent::BackgroundParent(pid_t child, UniqueFd socket) noexcept
    : child_(child), socket_(std::move(socket)) {}

std::optional<int> BackgroundParent::wait_until_ready() {
    // The socket may stay open after the child's end: a process that the child has started may hold the other
    // end.
    const auto ended = open_pidfd(child_);
    if (!ended)
        throw Error::from_errno(errno, subject);
    std::array<pollfd, 2> either{pollfd{.fd = socket_.value(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = ended.value(), .events = POLLIN, .revents = 0}};
    if (uninterrupted([&] { return ::poll(either.data(), either.size(), -1); }) < 0)
        throw Error::from_errno(errno, subject);
    if (either[0].revents != 0 && receive_byte(socket_.value()))
        return std::nullopt;
    return failure_of(child_);
}

void BackgroundParent::let_live() {
    if (!send_byte(socket_.value()))
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
    const bool sent = send_byte(socket_.value());
    if (sent && !keep_stderr) // before receive_byte: from the parent's answer on, the parent reports errors
        redirect_to_null({STDERR_FILENO});
    if (!sent || !receive_byte(socket_.value()))
        throw Error(Errc::io, "the process that started this one has ended");
    socket_.reset();
}

std::variant<BackgroundParent, BackgroundChild> fork_to_background() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw Error::from_errno(errno, subject);
    UniqueFd parents(ends[0]), childs(ends[1]);
    // The child cannot open it: the parent may have ended by then, and its pid may belong to another process.
    auto parent = open_pidfd(::getpid());
    if (!parent)
        throw Error::from_errno(errno, subject);
    std::cout.flush(); // or both processes would write the buffered text
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0)
        throw Error::from_errno(errno, subject);
    if (child > 0)
        return BackgroundParent(child, std::move(parents));
    parents.reset();
    if (::setsid() < 0 || ::chdir("/") != 0)
        throw Error::from_errno(errno, subject);
    redirect_to_null({STDIN_FILENO, STDOUT_FILENO});
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
