// SPDX-License-Identifier: MIT
#include "os/sandbox.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <initializer_list>
#include <link.h>
#include <linux/landlock.h>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

// Landlock. The headers of older kernels lack the names.

namespace access {
constexpr std::uint64_t write_file = 1U << 1U, read_file = 1U << 2U, read_dir = 1U << 3U,
                        remove_file = 1U << 5U, make_reg = 1U << 8U, truncate = 1U << 14U,
                        ioctl_dev = 1U << 15U;
/// The rights of each ABI: the bits below this one.
constexpr std::uint64_t abi_1 = 1U << 13U, abi_2 = 1U << 14U, abi_3 = 1U << 15U, abi_5 = 1U << 16U;
constexpr std::uint64_t for_folders = read_dir | remove_file | make_reg; ///< meaningless for files
} // namespace access

constexpr std::uint64_t net_bind_and_connect_tcp = 3, scope_signal = 2;

/// landlock_ruleset_attr of ABI 6. Older kernels accept it if the members that they do not know are 0.
struct Handled {
    std::uint64_t files = 0, network = 0, scope = 0;
};

Handled handled_by(int abi, bool network) {
    return {.files = (abi >= 5   ? access::abi_5
                      : abi >= 3 ? access::abi_3
                      : abi == 2 ? access::abi_2
                                 : access::abi_1) -
                     1,
            .network = abi >= 4 && !network ? net_bind_and_connect_tcp : 0,
            .scope = abi >= 6 ? scope_signal : 0};
}

/// Adds a rule if the path exists. Rights that have none for folders are for a regular file: a folder or a
/// device does not get them.
void allow(int ruleset, const fs::path& path, std::uint64_t rights) {
    if (path.empty())
        return;
    const UniqueFd opened(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status = {};
    if (!opened || ::fstat(opened.value(), &status) != 0)
        return;
    if (!S_ISREG(status.st_mode) && (rights & access::for_folders) == 0)
        return;
    if (!S_ISDIR(status.st_mode))
        rights &= ~access::for_folders;
    const landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = opened.value()};
    if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0 &&
        errno != EBADFD) // a file system that the kernel has for itself
        throw Error::from_errno(errno, "the sandbox (Landlock) for " + path.string());
}

int restrict_files(const SandboxRules& rules) {
    const auto abi = static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, LANDLOCK_CREATE_RULESET_VERSION));
    if (abi < 1) // ENOSYS or EOPNOTSUPP
        return 0;
    const auto handled = handled_by(abi, rules.network);
    const UniqueFd ruleset(
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0U)));
    if (!ruleset)
        throw Error::from_errno(errno, "the sandbox (Landlock)");
    const auto add = [&](const fs::path& path, std::uint64_t rights) {
        allow(ruleset.value(), path, rights & handled.files);
    };
    constexpr auto reading = access::read_file | access::read_dir;
    for (const auto& path : rules.readable)
        add(path, reading);
    for (const auto& path : rules.readable_files)
        add(path, access::read_file);
#ifdef SSHTPM_SANITIZED
    add("/proc", reading);
#endif
    for (const auto& path : rules.writable)
        add(path, reading | access::write_file | access::truncate | access::make_reg | access::remove_file);
    add(rules.removable, access::remove_file);
    // A key file that came later is denied first, and then opened by the opener: no line in the audit log.
    constexpr unsigned log_same_exec_off = 1;
    if (::syscall(SYS_landlock_restrict_self, ruleset.value(), abi >= 7 ? log_same_exec_off : 0U) != 0)
        throw Error::from_errno(errno, "the sandbox (Landlock)");
    return abi;
}

// seccomp

constexpr std::uint64_t pr_set_vma = 0x53564d41; ///< of Linux 5.17

struct FilterRelease {
    void operator()(scmp_filter_ctx filter) const noexcept { ::seccomp_release(filter); }
};

class Filter {
  public:
    /// @param other the action for calls that no rule names
    /// @param foreign the action for calls of another architecture
    Filter(std::uint32_t other, std::uint32_t foreign) : filter_(::seccomp_init(other)) {
        if (!filter_)
            throw Error(Errc::io, "the sandbox (seccomp): no memory");
        ::seccomp_attr_set(filter_.get(), SCMP_FLTATR_ACT_BADARCH, foreign);
    }

    void allow(std::initializer_list<const char*> calls) { add(SCMP_ACT_ALLOW, calls, {}); }
    void kill(std::initializer_list<const char*> calls) { add(SCMP_ACT_KILL_PROCESS, calls, {}); }
    void refuse(int reason, std::initializer_list<const char*> calls) {
        add(SCMP_ACT_ERRNO(static_cast<unsigned>(reason)), calls, {});
    }
    /// Allows the call if one of its arguments is as said.
    void allow_if(const char* call, scmp_arg_cmp condition) { add(SCMP_ACT_ALLOW, {call}, {condition}); }
    void refuse_if(int reason, const char* call, scmp_arg_cmp condition) {
        add(SCMP_ACT_ERRNO(static_cast<unsigned>(reason)), {call}, {condition});
    }

    void load() {
        if (const int failure = ::seccomp_load(filter_.get()); failure != 0)
            throw Error::from_errno(-failure, "the sandbox (seccomp)");
    }

  private:
    void add(std::uint32_t action, std::initializer_list<const char*> calls,
             std::initializer_list<scmp_arg_cmp> conditions) {
        for (const auto* name : calls) {
            const int number = ::seccomp_syscall_resolve_name(name);
            if (number == __NR_SCMP_ERROR) // this libseccomp does not know it
                continue;
            // A call that this architecture lacks is left out by libseccomp.
            const int failure = ::seccomp_rule_add_array(
                filter_.get(), action, number, static_cast<unsigned>(conditions.size()), conditions.begin());
            if (failure != 0)
                throw Error::from_errno(-failure, std::string("the sandbox (seccomp) for ") + name);
        }
    }

    std::unique_ptr<void, FilterRelease> filter_;
};

constexpr scmp_arg_cmp argument(unsigned index, scmp_compare comparison, std::uint64_t value,
                                std::uint64_t more = 0) {
    return {.arg = index, .op = comparison, .datum_a = value, .datum_b = more};
}

void restrict_calls(const SandboxRules& rules) {
    Filter filter(SCMP_ACT_ERRNO(EPERM), SCMP_ACT_KILL_PROCESS);
    filter.kill({"execve",
                 "execveat",
                 "process_vm_readv",
                 "process_vm_writev",
                 "bpf",
                 "mount",
                 "umount",
                 "umount2",
                 "pivot_root",
                 "move_mount",
                 "open_tree",
                 "fsopen",
                 "fsconfig",
                 "fsmount",
                 "fspick",
                 "mount_setattr",
                 "init_module",
                 "finit_module",
                 "delete_module",
                 "kexec_load",
                 "kexec_file_load",
                 "add_key",
                 "request_key",
                 "keyctl"});
#ifndef SSHTPM_SANITIZED // LeakSanitizer reads this process with ptrace, from a process that it makes
    filter.kill({"ptrace"});
#else
    filter.allow({"ptrace", "clone"});
#endif
    filter.allow(
        {// files that are open
         "read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "_llseek", "close",
         "close_range", "fstat", "fstat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64",
         "flock", "dup", "dup2", "dup3", "getdents64", "fgetxattr", "flistxattr",
         // paths, which Landlock restricts
         "open", "openat", "stat", "stat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "access",
         "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "mkdir", "mkdirat", "rename",
         "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "umask", "inotify_init1",
         "inotify_add_watch", "inotify_rm_watch",
         // sockets and events
         "accept", "accept4", "sendto", "send", "sendmsg", "recvfrom", "recv", "recvmsg", "shutdown",
         "getsockopt", "setsockopt", "getsockname", "getpeername", "poll", "ppoll", "ppoll_time64",
         "epoll_create1", "epoll_create", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
         "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_settime64", "timerfd_gettime", "pipe",
         "pipe2",
         // memory and threads
         "brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "futex", "futex_time64",
         "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "exit", "exit_group", "membarrier",
         // signals, time, and facts about this process
         "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "restart_syscall",
         "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64",
         "clock_getres", "gettimeofday", "time", "getrandom", "getpid", "gettid", "getppid", "getpgrp",
         "getuid", "geteuid", "getgid", "getegid", "getgroups", "getuid32", "geteuid32", "getgid32",
         "getegid32", "getgroups32", "getrlimit", "ugetrlimit", "uname", "sysinfo", "wait4", "pidfd_open"});
    // A process signals itself, as abort(3) does, and makes threads, but no processes.
    filter.allow_if("tgkill", argument(0, SCMP_CMP_EQ, static_cast<std::uint64_t>(::getpid())));
    filter.allow_if("tkill", argument(0, SCMP_CMP_EQ, static_cast<std::uint64_t>(::getpid()))); // of musl
#ifdef __s390__
    constexpr unsigned flags = 1;
#else
    constexpr unsigned flags = 0;
#endif
    constexpr std::uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                         CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    filter.allow_if("clone", argument(flags, SCMP_CMP_MASKED_EQ, CLONE_THREAD | namespaces, CLONE_THREAD));
    filter.refuse(ENOSYS, {"clone3"}); // its flags are in memory; libc then calls clone
    filter.allow_if("prlimit64", argument(2, SCMP_CMP_EQ, 0)); // reads limits
    filter.allow_if("prctl", argument(0, SCMP_CMP_EQ, PR_SET_NAME));
    filter.allow_if("prctl", argument(0, SCMP_CMP_EQ, pr_set_vma)); // glibc names its memory
    // It has descriptors of files that it may only read: no rights for others to write, and no set-user-ID.
    filter.allow_if("fchmod", argument(1, SCMP_CMP_MASKED_EQ, 07022, 0));
    // Not F_SETOWN, which sends signals.
    for (const int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK,
                              F_SETLKW, F_SETLEASE, F_SETSIG})
        for (const char* call : {"fcntl", "fcntl64"})
            filter.allow_if(call, argument(1, SCMP_CMP_EQ, static_cast<std::uint64_t>(command)));
    for (const int request : {FIONBIO, FIOCLEX, TCGETS, TIOCGWINSZ})
        filter.allow_if("ioctl", argument(1, SCMP_CMP_EQ, static_cast<std::uint64_t>(request)));
    for (const char* call : {"mmap", "mmap2", "mprotect"}) {
        if (rules.libraries)
            filter.allow({call});
        else
            filter.allow_if(call, argument(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    if (rules.sockets || rules.network) {
        filter.allow({"connect"});
        filter.allow_if("socket", argument(0, SCMP_CMP_EQ, AF_UNIX));
    }
    if (rules.network) {
        for (const int family : {AF_INET, AF_INET6, AF_NETLINK}) // the last for getaddrinfo(3)
            filter.allow_if("socket", argument(0, SCMP_CMP_EQ, static_cast<std::uint64_t>(family)));
        filter.allow({"bind", "sendmmsg", "recvmmsg"});
    }
    filter.load();
}

} // namespace

void give_up_new_privileges() noexcept {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void give_up_network() {
    give_up_new_privileges();
    try { // caught because this process can do its work with the network too
        // ENOSYS, or a program of another architecture, such as an emulator of a TPM, would be killed.
        Filter filter(SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(ENOSYS));
        for (const char* call : {"socket", "socketpair"})
            filter.refuse_if(EAFNOSUPPORT, call, argument(0, SCMP_CMP_NE, AF_UNIX));
        filter.refuse(EPERM, {"io_uring_setup"});
        filter.load();
    } catch (const Error& error) {
        log::debug("the network stays: ", error.what());
    }
}

std::vector<fs::path> library_folders() {
    std::vector<fs::path> folders;
    ::dl_iterate_phdr(
        [](dl_phdr_info* library, std::size_t, void* out) {
            auto& all = *static_cast<std::vector<fs::path>*>(out);
            auto folder = fs::path(library->dlpi_name).parent_path(); // empty for the program itself
            if (!folder.empty() && std::ranges::find(all, folder) == all.end())
                all.push_back(std::move(folder));
            return 0;
        },
        &folders);
    return folders;
}

int enter_sandbox(const SandboxRules& rules) {
    give_up_new_privileges();
    const int abi = restrict_files(rules);
    restrict_calls(rules);
    return abi;
}

} // namespace sshtpm::os
