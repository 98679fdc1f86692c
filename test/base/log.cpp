#include "base/log.hpp"

#include "base/unique_fd.hpp"
#include "support/catch.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

using sshtpm::Secret;
using sshtpm::UniqueFd;
namespace log_room = sshtpm::log;

static_assert(log_room::Part<std::string> && log_room::Part<const char*> && log_room::Part<int>);
static_assert(!log_room::Part<Secret> && !log_room::Part<const Secret&>, "a secret must not reach the log");

namespace {

/// What the call writes to stderr, which is a pipe meanwhile.
template <class Call>
std::string written_to_stderr(Call&& call) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const UniqueFd kept(::dup(STDERR_FILENO));
    ::dup2(writing.value(), STDERR_FILENO);
    call();
    ::dup2(kept.value(), STDERR_FILENO);
    writing.reset();
    std::array<char, 4096> buffer{};
    const auto length = ::read(reading.value(), buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

} // namespace

TEST_CASE("a line names the program, and an error says that it is one") {
    log_room::configure("ssh-tpm-agent", log_room::Level::info);
    CHECK(log_room::program() == "ssh-tpm-agent");
    CHECK(written_to_stderr([] { log_room::info("two keys: ", 2, ", one more: ", std::string("3")); }) ==
          "ssh-tpm-agent: two keys: 2, one more: 3\n");
    CHECK(written_to_stderr([] { log_room::error("no TPM"); }) == "ssh-tpm-agent: error: no TPM\n");
}

TEST_CASE("lines above the level are dropped") {
    const auto all = [] {
        log_room::error("e");
        log_room::info("i");
        log_room::debug("d");
    };
    log_room::configure("p", log_room::Level::error);
    CHECK(written_to_stderr(all) == "p: error: e\n");
    log_room::configure("p", log_room::Level::info);
    CHECK(written_to_stderr(all) == "p: error: e\np: i\n");
    log_room::configure("p", log_room::Level::debug);
    CHECK(written_to_stderr(all) == "p: error: e\np: i\np: d\n");
}
