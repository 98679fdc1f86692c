#include "tpm/emulator_process.hpp"

#include "base/error.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string_view>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sshtpm::tpm {

namespace {

UniqueFd listen_at(const std::string& path) {
    (void)::unlink(path.c_str()); // what a killed emulator has left; nobody listens there, by "start.lock"
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = os::unix_address(path);
    // The folder is 0700: nobody else comes near the socket before its mode is set.
    if (!socket || ::bind(socket.value(), os::generic(address), sizeof address) != 0 ||
        ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.value(), SOMAXCONN) != 0)
        throw Error::from_errno(errno, "the emulator's socket " + path);
    return socket;
}

/// An absolute path, because the supervisor may not search: it runs between fork and exec.
std::string find_swtpm() {
    const std::string_view program = SSHTPM_SWTPM;
    if (program.find('/') != std::string_view::npos)
        return std::string(program);
    const char* variable = ::getenv("PATH");
    std::string_view path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
    while (!path.empty()) {
        const auto end = std::min(path.find(':'), path.size());
        const auto candidate = std::string(path.substr(0, end)) + "/" + std::string(program);
        if (candidate.front() == '/' && ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    throw Error(Errc::not_found, "swtpm, the TPM emulator, is not installed", "install the package swtpm");
}

/// All that the supervisor needs, prepared before fork: after it, in a process that may have threads, only
/// async-signal-safe calls are allowed.
struct Plan {
    std::string program;
    std::string socket_path, control_path, users_lock, state_option;
    sockaddr_un address{};
    UniqueFd folder, socket, control; ///< the two sockets already listen: clients need not wait for swtpm
};

constexpr int folder_fd = 3, socket_fd = 4, control_fd = 5, first_free_fd = 6;

[[noreturn]] void run_swtpm(const Plan& plan, pid_t supervisor) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != supervisor)
        ::_exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    // startup-clear has swtpm send TPM2_Startup, so that no client has to.
    ::execl(plan.program.c_str(), "swtpm", "socket", "--tpm2", "--server", "type=unixio,fd=4", "--ctrl",
            "type=unixio,fd=5", "--tpmstate", plan.state_option.c_str(), "--flags", "startup-clear",
            static_cast<char*>(nullptr));
    ::_exit(127);
}

/// TPM2_Shutdown(CLEAR): without it the TPM takes the end for an attack when a guarded key was used, and
/// counts one dictionary-attack failure more (TPM 2.0 Part 1, 19.8.6).
void shut_down(const Plan& plan) {
    constexpr std::array<unsigned char, 12> command{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0};
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::array<unsigned char, 64> reply{};
    if (::connect(fd, os::generic(plan.address), sizeof plan.address) == 0 &&
        ::write(fd, command.data(), command.size()) == static_cast<ssize_t>(command.size()))
        (void)!::read(fd, reply.data(), reply.size());
    ::close(fd);
}

bool ended(pid_t child) {
    return ::waitpid(child, nullptr, WNOHANG) != 0;
}

/// Waits until nobody has used the folder for the linger time. @returns false when swtpm ended before.
bool wait_until_unused(int users, pid_t swtpm, const sigset_t& child_signal) {
    const std::chrono::nanoseconds limit = time_limits().emulator_linger;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
    for (;;) {
        while (::flock(users, LOCK_EX) != 0 && errno == EINTR) {
        }
        ::flock(users, LOCK_UN);
        const timespec linger{.tv_sec = seconds.count(), .tv_nsec = (limit - seconds).count()};
        ::sigtimedwait(&child_signal, nullptr, &linger);
        if (ended(swtpm))
            return false;
        if (::flock(users, LOCK_EX | LOCK_NB) == 0)
            return true; // held until this process ends: whoever joins meanwhile waits
    }
}

/// In a session of its own, and without the caller's handlers: they write to descriptors that are other files
/// here. @returns the one signal that is blocked, to be waited for.
sigset_t leave_the_callers_signals() {
    ::setsid();
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child_signal, nullptr);
    return child_signal;
}

/// Nothing of the caller's stays open: neither its locks nor the pipes somebody reads until they close. What
/// the plan has goes to its places, `ready` to first_free_fd.
void leave_the_callers_files(const Plan& plan, int ready) {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    constexpr int parking = 100; // above the places that the descriptors go to
    const int ready_copy = ::fcntl(ready, F_DUPFD_CLOEXEC, parking);
    const int folder = ::fcntl(plan.folder.value(), F_DUPFD_CLOEXEC, parking);
    const int socket = ::fcntl(plan.socket.value(), F_DUPFD_CLOEXEC, parking);
    const int control = ::fcntl(plan.control.value(), F_DUPFD_CLOEXEC, parking);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::dup2(folder, folder_fd);
    ::dup2(socket, socket_fd);
    ::dup2(control, control_fd);
    ::dup2(ready_copy, first_free_fd);
    ::close_range(first_free_fd + 1, UINT_MAX, 0);
    ::fcntl(first_free_fd, F_SETFD, FD_CLOEXEC);
}

/// @param ready written to when swtpm has been forked; closed unwritten when that failed.
[[noreturn]] void supervise(const Plan& plan, int ready) {
    const auto child_signal = leave_the_callers_signals();
    leave_the_callers_files(plan, ready);
    const pid_t self = ::getpid();
    const pid_t swtpm = ::fork();
    if (swtpm < 0)
        ::_exit(1);
    if (swtpm == 0)
        run_swtpm(plan, self);
    ::close(socket_fd); // only swtpm listens, so that its end is seen as one
    ::close(control_fd);
    const char byte = 1;
    (void)!::write(first_free_fd, &byte, 1);
    ::close(first_free_fd);

    const int users = ::open(plan.users_lock.c_str(), O_RDWR | O_CLOEXEC);
    if (!wait_until_unused(users, swtpm, child_signal))
        ::_exit(0);
    shut_down(plan);
    ::kill(swtpm, SIGTERM);
    ::waitpid(swtpm, nullptr, 0);
    ::unlink(plan.socket_path.c_str());
    ::unlink(plan.control_path.c_str());
    ::_exit(0);
}

std::string through_folder(int folder, std::string_view name) {
    return "/proc/self/fd/" + std::to_string(folder) + "/" + std::string(name);
}

} // namespace

std::string emulator_socket(int folder) {
    return through_folder(folder, "socket");
}

bool emulator_answers(int folder) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = os::unix_address(emulator_socket(folder));
    return socket && ::connect(socket.value(), os::generic(address), sizeof address) == 0;
}

EmulatorState start_emulator(int folder) {
    const auto state = ::mkdirat(folder, "tpm", 0700) == 0 ? EmulatorState::fresh : EmulatorState::kept;
    Plan plan{.program = find_swtpm(),
              .socket_path = through_folder(folder_fd, "socket"),
              .control_path = through_folder(folder_fd, "socket.ctrl"),
              .users_lock = through_folder(folder_fd, "users.lock"),
              .state_option = "dir=" + through_folder(folder_fd, "tpm"),
              .address = {},
              .folder = UniqueFd(::fcntl(folder, F_DUPFD_CLOEXEC, 0)),
              .socket = listen_at(emulator_socket(folder)),
              .control = listen_at(emulator_socket(folder) + ".ctrl")};
    plan.address = os::unix_address(plan.socket_path);

    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, "starting the emulator");
    const UniqueFd reading(pipe[0]);
    UniqueFd writing(pipe[1]);

    // Forked twice, so that the supervisor is nobody's child to wait for.
    const pid_t middle = ::fork();
    if (middle < 0)
        throw Error::from_errno(errno, "starting the emulator");
    if (middle == 0) {
        if (::fork() == 0)
            supervise(plan, writing.value());
        ::_exit(0);
    }
    while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
    }
    writing.reset();
    char byte = 0;
    if (::read(reading.value(), &byte, 1) != 1)
        throw Error(Errc::io, "the emulator did not start");
    return state;
}

} // namespace sshtpm::tpm
