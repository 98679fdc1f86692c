// bench-start SOCKET COMMAND [ARGUMENT ...]: milliseconds from the start of an agent to its first answer. The
// command stays in the foreground and writes SSH_AUTH_SOCK to standard output once it listens. It is ended.

#include "bench/connection.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace sshtpm;

class Agent {
  public:
    explicit Agent(char** command) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw Error::from_errno(errno, "pipe");
        output_.reset(ends[0]);
        const UniqueFd theirs(ends[1]);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, theirs.value(), STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        const int failure = ::posix_spawn(&pid_, command[0], &actions, nullptr, command, ::environ);
        ::posix_spawn_file_actions_destroy(&actions);
        if (failure != 0)
            throw Error::from_errno(failure, command[0]);
    }
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;
    ~Agent() {
        ::kill(pid_, SIGTERM);
        ::waitpid(pid_, nullptr, 0);
    }

    void wait_until_it_listens() const {
        std::string said;
        std::array<char, 4096> buffer{};
        while (said.find("SSH_AUTH_SOCK=") == said.npos) {
            const auto got = ::read(output_.value(), buffer.data(), buffer.size());
            if (got <= 0)
                throw Error(Errc::io, "the agent did not start");
            said.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }

  private:
    UniqueFd output_;
    pid_t pid_ = 0;
};

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fputs("usage: bench-start SOCKET COMMAND [ARGUMENT ...]\n", stderr);
        return 2;
    }
    try {
        const auto start = std::chrono::steady_clock::now();
        const Agent agent(argv + 2);
        agent.wait_until_it_listens();
        bench::Connection client(argv[1]);
        if (client.exchange(bench::list_frame()) != bench::identities_answer)
            throw Error(Errc::io, "no list");
        const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
        std::printf("%.2f\n", time.count());
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench-start: error: %s\n", error.what());
        return 1;
    }
}
