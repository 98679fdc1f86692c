#include "tpm/emulator.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/process.hpp"
#include "tpm/context.hpp"
#include "tpm/emulator_process.hpp"
#include "tpm/provision.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sshtpm::tpm {

namespace {

namespace fs = std::filesystem;

std::string tcti_through(const UniqueFd& folder) {
    return "swtpm:path=" + emulator_socket(folder.value());
}

/// Made 0700 when it is not there; one that is there must be ours and nobody else's to look into.
UniqueFd open_folder(const fs::path& path) {
    std::error_code failure;
    const auto parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    fs::create_directories(parent, failure);
    make_folder(path, 0700);
    UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!folder || ::fstat(folder.value(), &status) != 0)
        throw Error::from_errno(errno, path.string());
    if (status.st_uid != ::geteuid() || (status.st_mode & 077U) != 0)
        throw Error(Errc::permission,
                    path.string() + ": the emulator's state must be in a folder of your own",
                    "chmod 700 it, or name another with SSH_TPM_SWTPM_STATE");
    return folder;
}

UniqueFd open_lock(const UniqueFd& folder, const char* name) {
    UniqueFd lock(::openat(folder.value(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock)
        throw Error::from_errno(errno, std::string("the emulator's lock ") + name);
    return lock;
}

constexpr std::chrono::milliseconds turn_pause{2}; ///< flock has no deadline to give it

constexpr std::size_t holder_width = 12; ///< of a process id in a lock's file

/// Who has the turn writes his id into the lock's file; the other locks have none.
std::string holder_of(const UniqueFd& file) {
    std::array<char, holder_width> text{};
    const auto size = ::pread(file.value(), text.data(), text.size(), 0);
    pid_t pid = 0;
    if (size > 0)
        (void)std::from_chars(text.data(), text.data() + size, pid);
    return pid > 0 ? os::describe_process(pid) : std::string("another program");
}

Error held_too_long(const UniqueFd& file, std::chrono::milliseconds patience) {
    std::error_code ignored;
    const auto path = fs::read_symlink("/proc/self/fd/" + std::to_string(file.value()), ignored).string();
    return {Errc::tpm,
            holder_of(file) + " has kept the emulator to itself for " +
                std::to_string(std::chrono::floor<std::chrono::seconds>(patience).count()) + " s or more",
            "end that program, or let it go on if it was stopped (fg); fuser -v " + printable(path) +
                " shows who has the lock"};
}

/// @throws Error(tpm) when somebody else keeps it for longer.
void lock(const UniqueFd& file, int operation,
          std::chrono::milliseconds patience = time_limits().emulator_turn) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (::flock(file.value(), operation | LOCK_NB) != 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            throw Error::from_errno(errno, "locking the emulator");
        if (std::chrono::steady_clock::now() > end)
            throw held_too_long(file, patience);
        std::this_thread::sleep_for(turn_pause);
    }
}

/// Returns when the emulator runs. The caller is one of its users, so no supervisor ends it meanwhile.
void ensure_running(const UniqueFd& folder) {
    const auto start = open_lock(folder, "start.lock");
    lock(start, LOCK_EX);
    if (emulator_answers(folder.value()))
        return;
    if (start_emulator(folder.value()) == EmulatorState::fresh)
        log::info("this is an emulator, for trying things out: it protects nothing");
    provision(Context(tcti_through(folder)));
}

/// The turn's lock file has a process id in it while somebody has the turn; one that is there before is of a
/// user that did not come to its end. All ids are of one width, so that the file is never empty in between:
/// who is killed here has not flushed yet what the one before has left.
bool mark_begun(const UniqueFd& turn) {
    struct stat status {};
    const bool cut_short = ::fstat(turn.value(), &status) == 0 && status.st_size > 0;
    auto pid = std::to_string(::getpid());
    pid.resize(holder_width, ' ');
    if (::pwrite(turn.value(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
        throw Error::from_errno(errno, "the emulator's turn");
    return cut_short;
}

void empty(const Context& context) {
    try { // caught to say what ESYS does not know
        flush_leftovers(context);
    } catch (const Error&) {
        if (context.loss())
            throw context.loss()->error();
        throw;
    }
}

} // namespace

Emulator Emulator::join(const fs::path& state_folder) {
    auto folder = open_folder(state_folder);
    auto users = open_lock(folder, "users.lock");
    lock(users, LOCK_SH);
    ensure_running(folder);
    return {std::move(folder), std::move(users)};
}

Emulator::Turn Emulator::take_turn(std::chrono::milliseconds patience) const {
    auto turn = open_lock(folder_, "turn.lock");
    lock(turn, LOCK_EX, patience);
    ensure_running(folder_);
    if (mark_begun(turn))
        empty(Context(tcti()));
    return Turn(std::move(turn));
}

Emulator::Turn::~Turn() {
    if (lock_ && emptied_)
        (void)!::ftruncate(lock_.value(), 0);
}

std::string Emulator::tcti() const {
    return tcti_through(folder_);
}

} // namespace sshtpm::tpm
