// SPDX-License-Identifier: MIT
// What code in a hijacked agent would try: loaded into the program by LD_PRELOAD. SSH_TPM_TEST_TRIES has the
// tries, one in a line, with an argument behind a colon. They are made when the agent first waits for events,
// on the thread of its loop, or on the TPM's thread for a line that begins with "thread-"; the outcome of
// each goes to stderr as "tried LINE: ERROR".
//
//     read:PATH  write:PATH  remove:PATH  tcp:PORT  unix:PATH  exec:PROGRAM  fork  trace:PID  peek:PID
//     signal:PID

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace {

template <class Address>
long connect_to(const Address& address, sa_family_t family) {
    const int socket = ::socket(family, SOCK_STREAM, 0);
    const void* generic = &address;
    return socket < 0 ? socket : ::connect(socket, static_cast<const sockaddr*>(generic), sizeof address);
}

long connect_to_port(const std::string& port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_to(address, AF_INET);
}

long connect_to_path(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return connect_to(address, AF_UNIX);
}

long run(const std::string& program) {
    std::array<char*, 2> arguments{const_cast<char*>(program.c_str()), nullptr};
    return ::execve(program.c_str(), arguments.data(), environ);
}

pid_t fork_once() {
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(0);
    return child;
}

long peek(pid_t process) {
    char byte = 0;
    iovec here{.iov_base = &byte, .iov_len = 1}, there = here;
    const auto got = ::process_vm_readv(process, &here, 1, &there, 1, 0);
    return got < 0 && errno == EFAULT ? 0 : got; // it may read that process, which has nothing there
}

/// A negative result, with errno set, if the kernel refuses.
long attempt(const std::string& what, const std::string& word) {
    if (what == "read")
        return ::open(word.c_str(), O_RDONLY);
    if (what == "write")
        return ::open(word.c_str(), O_WRONLY | O_CREAT, 0600);
    if (what == "remove")
        return ::unlink(word.c_str());
    if (what == "tcp")
        return connect_to_port(word);
    if (what == "unix")
        return connect_to_path(word);
    if (what == "exec")
        return run(word);
    if (what == "fork")
        return fork_once();
    if (what == "trace")
        return ::ptrace(PTRACE_ATTACH, std::stoi(word), nullptr, nullptr);
    if (what == "peek")
        return peek(std::stoi(word));
    if (what == "signal")
        return ::kill(std::stoi(word), SIGCONT);
    std::abort();
}

const pid_t agent = ::getpid(); // and not a companion, which is forked from it

void try_once(bool on_thread) {
    static std::array<bool, 2> tried{};
    const char* const tries = std::getenv("SSH_TPM_TEST_TRIES");
    if (tries == nullptr || ::getpid() != agent || std::exchange(tried[on_thread ? 1 : 0], true))
        return;
    std::istringstream lines(tries);
    for (std::string line; std::getline(lines, line);) {
        constexpr std::string_view thread = "thread-";
        if (line.starts_with(thread) != on_thread)
            continue;
        const auto what = line.substr(on_thread ? thread.size() : 0);
        const auto colon = what.find(':');
        errno = 0;
        const long result =
            attempt(what.substr(0, colon), colon == std::string::npos ? "" : what.substr(colon + 1));
        std::fprintf(stderr, "tried %s: %s\n", line.c_str(), result < 0 ? std::strerror(errno) : "done");
    }
}

template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

/// Asio's loop waits here.
__attribute__((visibility("default"))) int epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
    try_once(false);
    return next<int(int, epoll_event*, int, int)>("epoll_wait")(epoll, events, most, timeout);
}

/// The TPM's thread waits here, or, when it has had work already, in the next one.
__attribute__((visibility("default"))) int pthread_cond_wait(pthread_cond_t* condition,
                                                             pthread_mutex_t* mutex) {
    try_once(true);
    return next<int(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait")(condition, mutex);
}

__attribute__((visibility("default"))) int pthread_cond_clockwait(pthread_cond_t* condition,
                                                                  pthread_mutex_t* mutex, clockid_t clock,
                                                                  const timespec* end) {
    try_once(true);
    return next<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>("pthread_cond_clockwait")(
        condition, mutex, clock, end);
}
}
