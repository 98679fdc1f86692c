// SPDX-License-Identifier: MIT
#include "tpm/emulator.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "os/environment.hpp"
#include "os/harden.hpp"
#include "os/process.hpp"
#include "os/unix_socket.hpp"
#include "tpm/capability.hpp"
#include "tpm/rc.hpp"
#include "tpm/storage_keys.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <iterator>
#include <string_view>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace sshtpm::tpm {

namespace {

namespace fs = std::filesystem;

constexpr const char* state_name = "tpm";
constexpr const char* socket_name = "socket";
constexpr const char* control_name = "socket.ctrl";

std::string path_in(const UniqueFd& folder, std::string_view name) {
    return "/proc/self/fd/" + std::to_string(folder.value()) + "/" + std::string(name);
}

/// @throws Error(permission) for a folder of another user, or a folder that others may read
UniqueFd open_folder(const fs::path& path) {
    make_folders(path, 0700);
    UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status = {};
    if (!folder || ::fstat(folder.value(), &status) != 0)
        throw Error::from_errno(errno, path.string());
    if (status.st_uid != ::geteuid() || (status.st_mode & 077U) != 0)
        throw Error(
            Errc::permission, path.string() + ": the emulator's state must be in a folder of your own",
            "`chmod 700 " + shell_word(path.native()) + "`, or name another with SSH_TPM_SWTPM_STATE");
    return folder;
}

UniqueFd open_lock(const UniqueFd& folder, const char* name) {
    UniqueFd lock(::openat(folder.value(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock)
        throw Error::from_errno(errno, std::string("the emulator's lock ") + name);
    return lock;
}

constexpr std::size_t pid_width = 12; ///< of the process id in turn.lock

/// @throws Error(tpm) at the time limit; it names the program that holds the lock
void lock(const UniqueFd& file, int operation) {
    const auto patience = time_limits().emulator_turn;
    if (lock_file(file, operation, patience, "locking the emulator"))
        return;
    std::array<char, pid_width> text{};
    const auto size = ::pread(file.value(), text.data(), text.size(), 0);
    pid_t pid = 0;
    if (size > 0)
        (void)std::from_chars(text.data(), text.data() + size, pid);
    std::error_code ignored;
    const auto path = fs::read_symlink("/proc/self/fd/" + std::to_string(file.value()), ignored).string();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(patience).count();
    throw Error(Errc::tpm,
                (pid > 0 ? os::describe_process(pid) : "another program") +
                    " has kept the emulator to itself for " + std::to_string(seconds) + " s or more",
                "end that program, or let it go on if it was stopped (fg); fuser -v " + printable(path) +
                    " shows who has the lock");
}

/// Records our process id in turn.lock. All ids have the same width, and one overwrites the other, so that
/// the file is never empty during a turn. If this process is killed too, the next user still learns that
/// objects may be left in the TPM.
/// @returns true if another id was there: that process did not end its turn
bool mark_begun(const UniqueFd& turn) {
    struct stat status = {};
    const bool cut_short = ::fstat(turn.value(), &status) == 0 && status.st_size > 0;
    auto pid = std::to_string(::getpid());
    pid.resize(pid_width, ' ');
    if (::pwrite(turn.value(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
        throw Error::from_errno(errno, "the emulator's turn");
    return cut_short;
}

bool answers(const UniqueFd& folder) {
    const auto address = os::unix_address(path_in(folder, socket_name));
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); // last: its errno is read below
    if (socket && ::connect(socket.value(), os::generic(address), sizeof address) == 0)
        return true;
    if (errno != ECONNREFUSED && errno != ENOENT) // such as no descriptors: swtpm may be there
        throw Error::from_errno(errno, "the emulator's socket");
    return false;
}

UniqueFd listen_at(const std::string& path) {
    const auto address = os::unix_address(path);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket)
        (void)::unlink(path.c_str()); // from an emulator that was killed
    // The folder is 0700, so no other user reaches the socket before its mode is set.
    if (!socket || ::bind(socket.value(), os::generic(address), sizeof address) != 0 ||
        ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.value(), SOMAXCONN) != 0)
        throw Error::from_errno(errno, "the emulator's socket " + path);
    return socket;
}

/// @returns an absolute path, because the supervisor may not search for it (async-signal-safe)
std::string find_swtpm() {
    const std::string_view program = SSHTPM_SWTPM;
    if (program.find('/') != std::string_view::npos)
        return std::string(program);
    if (auto found = os::find_program(program, "/usr/local/bin:/usr/bin:/bin"))
        return std::move(*found);
    throw Error(Errc::not_found, "swtpm, the TPM emulator, is not installed", "install the package swtpm");
}

/// The supervisor's data, made before fork. After the fork, in a process that may have threads, only
/// async-signal-safe calls are allowed.
struct Plan {
    std::string program;
    sockaddr_un address{}; ///< of the socket, in the folder
    int folder;
    UniqueFd socket, control; ///< listening already, so that clients need not wait for swtpm
};

constexpr int socket_fd = 3, control_fd = 4, first_free_fd = 5;

[[noreturn]] void become_swtpm(const Plan& plan, pid_t supervisor) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // swtpm 0.10 may spin at SIGTERM
    if (::getppid() != supervisor)
        ::_exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execl(plan.program.c_str(), "swtpm", "socket", "--tpm2", "--server", "type=unixio,fd=3", "--ctrl",
            "type=unixio,fd=4", "--tpmstate", "dir=tpm", "--flags", "startup-clear",
            static_cast<char*>(nullptr));
    ::_exit(127);
}

/// Moves the process into a session of its own and the state folder, and drops the caller's signal handlers,
/// locks and pipes.
void leave_the_caller(const Plan& plan) {
    ::setsid();
    ::prctl(PR_SET_NAME, "ssh-tpm-swtpm");
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    // Duplicates above the final numbers.
    const int socket = ::fcntl(plan.socket.value(), F_DUPFD, first_free_fd);
    const int control = ::fcntl(plan.control.value(), F_DUPFD, first_free_fd);
    if (::fchdir(plan.folder) != 0 || socket < 0 || control < 0)
        ::_exit(1);
    const int null = ::open("/dev/null", O_RDWR);
    for (int standard = 0; standard <= 2; ++standard)
        ::dup2(null, standard);
    ::dup2(socket, socket_fd);
    ::dup2(control, control_fd);
    os::close_stray_descriptors(first_free_fd);
}

/// Waits until the folder was unused for the linger time. @returns false if swtpm ended before
bool wait_until_unused(pid_t swtpm, const sigset_t& child_signal) {
    const auto limit = time_limits().emulator_linger;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
    const timespec linger{.tv_sec = seconds.count(),
                          .tv_nsec = std::chrono::nanoseconds(limit - seconds).count()};
    const int users = ::open("users.lock", O_RDWR | O_CLOEXEC);
    for (;;) {
        uninterrupted([&] { return ::flock(users, LOCK_EX); });
        ::flock(users, LOCK_UN);
        ::sigtimedwait(&child_signal, nullptr, &linger);
        if (::waitpid(swtpm, nullptr, WNOHANG) != 0)
            return false;
        if (::flock(users, LOCK_EX | LOCK_NB) == 0)
            return true; // held until this process ends, so that a new user waits for that
    }
}

/// Sends TPM2_Shutdown(CLEAR). Without it, the TPM takes the end for an attack if a guarded key was used, and
/// counts one more dictionary-attack failure (TPM 2.0 Part 1, 19.8.6).
void shut_down(const sockaddr_un& address) {
    constexpr std::array<unsigned char, 12> command{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0};
    constexpr timeval limit{.tv_sec = 2, .tv_usec = 0}; // swtpm may be stopped, or spin
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::array<unsigned char, 64> reply{};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd, os::generic(address), sizeof address) == 0 &&
        ::write(fd, command.data(), command.size()) == static_cast<ssize_t>(command.size()))
        (void)!::read(fd, reply.data(), reply.size());
    ::close(fd);
}

[[noreturn]] void supervise(const Plan& plan) {
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child_signal, nullptr);
    const pid_t self = ::getpid(), swtpm = ::fork();
    if (swtpm < 0)
        ::_exit(1);
    if (swtpm == 0)
        become_swtpm(plan, self);
    // Only swtpm may hold the listening socket, so that clients notice when it ends.
    ::close(socket_fd);
    ::close(control_fd);
    if (!wait_until_unused(swtpm, child_signal))
        ::_exit(0); // another swtpm may listen there by now
    shut_down(plan.address);
    // The state is on the disk now.
    ::kill(swtpm, SIGKILL);
    ::waitpid(swtpm, nullptr, 0);
    ::unlink(socket_name);
    ::unlink(control_name);
    ::_exit(0);
}

/// Starts swtpm and its supervisor. The supervisor is forked twice, so that no process has to reap it.
void start(const UniqueFd& folder) {
    const Plan plan{.program = find_swtpm(),
                    .address = os::unix_address(socket_name),
                    .folder = folder.value(),
                    .socket = listen_at(path_in(folder, socket_name)),
                    .control = listen_at(path_in(folder, control_name))};
    (void)::mkdirat(folder.value(), state_name, 0700);
    const pid_t middle = ::fork();
    if (middle < 0)
        throw Error::from_errno(errno, "starting the emulator");
    if (middle == 0) {
        leave_the_caller(plan); // before the parent's waitpid ends, because it closes the caller's locks
        if (::fork() == 0)
            supervise(plan);
        ::_exit(0);
    }
    uninterrupted([&] { return ::waitpid(middle, nullptr, 0); });
}

/// Serves a companion's requests of one byte each. A reply is an empty text, or the reason why the emulator
/// was not started; a zero follows.
void serve_starts(const UniqueFd& socket, const UniqueFd& folder) {
    os::redirect_to_null({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
    std::uint8_t request = 0;
    while (uninterrupted([&] { return ::recv(socket.value(), &request, 1, 0); }) == 1) {
        std::string failure;
        try { // caught to be told, and to serve the next request
            start(folder);
        } catch (const Error& error) {
            failure = error.what();
        }
        if (::send(socket.value(), failure.c_str(), failure.size() + 1, MSG_NOSIGNAL) < 0)
            return;
    }
}

/// @throws Error not_found if swtpm is not installed; io
void ask_to_start(const os::Companion& starter) {
    find_swtpm();
    std::array<char, 1000> failure{};
    const auto size =
        ::send(starter.socket(), "", 1, MSG_NOSIGNAL) == 1
            ? uninterrupted([&] { return ::recv(starter.socket(), failure.data(), failure.size() - 1, 0); })
            : 0;
    if (size <= 0)
        throw Error(Errc::io, "the process that starts the emulator for this agent has ended",
                    "restart the agent");
    if (failure.front() != 0)
        throw Error(Errc::io, failure.data());
}

std::vector<TPM2_HANDLE> handles_from(const Context& context, TPM2_HANDLE first) {
    const auto data = read_capability(context, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES);
    const auto& list = data->data.handles;
    return {list.handle, list.handle + std::min<std::size_t>(list.count, std::size(list.handle))};
}

} // namespace

std::shared_ptr<os::Companion> make_emulator_starter(const fs::path& state_folder) {
    open_folder(state_folder);
    return std::make_shared<os::Companion>("ssh-tpm-starter", [&](UniqueFd socket) {
        serve_starts(socket, open_folder(state_folder)); // this copy has no descriptors of its origin
    });
}

Emulator::Emulator(const fs::path& state_folder, std::shared_ptr<os::Companion> starter)
    : starter_(std::move(starter)), folder_(open_folder(state_folder)),
      users_(open_lock(folder_, "users.lock")) {
    lock(users_, LOCK_SH);
}

std::string Emulator::tcti() const {
    return "swtpm:path=" + path_in(folder_, socket_name);
}

bool Emulator::begin_turn() {
    auto turn = open_lock(folder_, "turn.lock");
    lock(turn, LOCK_EX);
    const bool cut_short = mark_begun(turn);
    turn_ = std::move(turn);
    if (answers(folder_))
        return cut_short;
    if (::faccessat(folder_.value(), state_name, F_OK, 0) != 0)
        log::info("this is an emulator, for trying things out: it protects nothing");
    if (starter_)
        ask_to_start(*starter_);
    else
        start(folder_);
    return true;
}

void Emulator::end_turn(bool clean) noexcept {
    if (turn_ && clean)
        (void)!::ftruncate(turn_.value(), 0);
    turn_.reset();
}

void prepare_emulator(const Context& context) {
    check_expecting("Esys_Startup", Esys_Startup(context.esys(), TPM2_SU_CLEAR), {TPM2_RC_INITIALIZE});
    for (const auto first : {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST})
        for (const auto handle : handles_from(context, first)) {
            ESYS_TR tr = ESYS_TR_NONE;
            check("Esys_TR_FromTPMPublic", Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE,
                                                                 ESYS_TR_NONE, ESYS_TR_NONE, &tr));
            Handle::transient(context, tr).flush();
        }
    if (look_up(context, srk_handle))
        return;
    const auto primary = try_create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ecc_storage_key());
    if (!primary)
        return; // the owner hierarchy has a password: its owner makes the storage key
    ESYS_TR tr = ESYS_TR_NONE;
    check("Esys_EvictControl",
          Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, primary.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, srk_handle, &tr));
    const auto persistent = Handle::persistent(context, tr);
}

} // namespace sshtpm::tpm
