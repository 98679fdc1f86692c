// SPDX-License-Identifier: MIT
#include "os/child.hpp"

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "os/environment.hpp"
#include "os/signals.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

/// Owns the file actions and attributes of posix_spawn.
struct SpawnPlan {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    SpawnPlan() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
};

/// @returns nothing at the deadline @throws Error(malformed) for more than `most` bytes
std::optional<std::string> read_to_end(int descriptor, Deadline end, std::size_t most) {
    std::string text;
    std::array<char, 4096> chunk{};
    while (is_ready_before(end, descriptor)) {
        const auto got = uninterrupted([&] { return ::read(descriptor, chunk.data(), chunk.size()); });
        if (got <= 0)
            return text;
        text.append(chunk.data(), static_cast<std::size_t>(got));
        if (text.size() > most)
            malformed("the program prints more than " + std::to_string(most) + " bytes");
    }
    return std::nullopt;
}

/// A file in memory with this content, to be read from its beginning.
UniqueFd holding(std::string_view content) {
    UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
    if (!file ||
        ::write(file.value(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
        ::lseek(file.value(), 0, SEEK_SET) != 0)
        throw Error::from_errno(errno, "memfd_create");
    return file;
}

} // namespace

UniqueFd open_pidfd(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

void wait_or_end(int pidfd) {
    // It may miss a signal that comes just before it reads from the terminal.
    constexpr int most_signals = 20, pause = 100; // ms
    const auto ending = ending_signals();
    const BlockedSignals until_its_end(ending);
    const UniqueFd signals(::signalfd(-1, &ending, SFD_CLOEXEC));
    std::array<pollfd, 2> events{{{.fd = pidfd, .events = POLLIN, .revents = 0},
                                  {.fd = signals.value(), .events = POLLIN, .revents = 0}}};
    uninterrupted([&] { return ::poll(events.data(), events.size(), -1); });
    for (int i = 0; i < most_signals && events[0].revents == 0; ++i) {
        ::syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, nullptr, 0U);
        uninterrupted([&] { return ::poll(events.data(), 1, pause); });
    }
    if (events[0].revents == 0)
        ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0U);
}

Child::Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment_changes,
             int errors, Group group, int input)
    : group_(group) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, arguments.at(0));
    output_.reset(pipe[0]);
    const UniqueFd writing(pipe[1]);

    SpawnPlan plan;
    if (input < 0)
        posix_spawn_file_actions_addopen(&plan.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&plan.actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&plan.actions, writing.value(), STDOUT_FILENO);
    if (errors != STDERR_FILENO)
        posix_spawn_file_actions_adddup2(&plan.actions, errors, STDERR_FILENO);
#ifdef __GLIBC__
    // Asio opens clients' connections without O_CLOEXEC.
    posix_spawn_file_actions_addclosefrom_np(&plan.actions, STDERR_FILENO + 1);
#else // musl has no such action
    if (::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        throw Error::from_errno(errno, arguments.at(0));
#endif
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&plan.attributes, &none);
    posix_spawnattr_setsigdefault(&plan.attributes, &defaults);
    posix_spawnattr_setpgroup(&plan.attributes, 0);
    const int own_group = group == Group::own ? POSIX_SPAWN_SETPGROUP : 0;
    posix_spawnattr_setflags(&plan.attributes,
                             static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | own_group));

    auto argument_strings = arguments;
    auto environment_strings = environment_with(environment_changes);
    const auto argument_pointers = pointers_to(argument_strings);
    const auto environment_pointers = pointers_to(environment_strings);
    const int failure = ::posix_spawnp(&pid_, arguments.at(0).c_str(), &plan.actions, &plan.attributes,
                                       argument_pointers.data(), environment_pointers.data());
    if (failure != 0) {
        pid_ = -1;
        throw Error::from_errno(failure, arguments[0]);
    }
    pidfd_ = open_pidfd(pid_);
    if (!pidfd_) {
        const int reason = errno;
        end();
        throw Error::from_errno(reason, arguments[0]);
    }
}

Child::~Child() {
    if (pid_ >= 0)
        end();
}

/// Sends SIGKILL, because the destructor must not wait for a child that ignores SIGTERM. The child is not
/// reaped yet, so no other process has its pid.
void Child::end() noexcept {
    ::kill(group_ == Group::own ? -pid_ : pid_, SIGKILL);
    wait();
}

int Child::wait() noexcept {
    int status = 0;
    const auto ended = uninterrupted([&] { return ::waitpid(pid_, &status, 0); });
    pid_ = -1;
    if (ended < 0)
        return lost_status;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::optional<ProgramOutput> output_of(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment_changes,
                                       std::chrono::milliseconds limit, std::size_t most, Child::Group group,
                                       std::string_view input) {
    const auto end = std::chrono::steady_clock::now() + limit;
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC)); // unlike a pipe it is never full
    if (!errors)
        throw Error::from_errno(errno, "memfd_create");
    const auto given = input.empty() ? UniqueFd() : holding(input);
    Child child(arguments, environment_changes, errors.value(), group, given ? given.value() : -1);
    auto output = read_to_end(child.output(), end, most);
    if (!output || !is_ready_before(end, child.pidfd()))
        return std::nullopt;
    const int status = child.wait();
    ::lseek(errors.value(), 0, SEEK_SET);
    auto messages = read_to_end(errors.value(), end, most);
    if (!messages)
        return std::nullopt;
    return ProgramOutput{.status = status, .output = std::move(*output), .errors = std::move(*messages)};
}

} // namespace sshtpm::os
