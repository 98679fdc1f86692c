#include "base/log.hpp"

#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "support/catch.hpp"
#include "support/stderr.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

using sshtpm::Secret;
using sshtpm::UniqueFd;
using support::written_to_stderr;
namespace log_module = sshtpm::log;

static_assert(log_module::Part<std::string> && log_module::Part<const char*> && log_module::Part<int>);
static_assert(!log_module::Part<Secret> && !log_module::Part<const Secret&>,
              "a secret must not reach the log");

TEST_CASE("a line names the program, and an error says that it is one") {
    log_module::configure("ssh-tpm-agent", log_module::Level::info);
    CHECK(log_module::program() == "ssh-tpm-agent");
    CHECK(written_to_stderr([] { log_module::info("two keys: ", 2, ", one more: ", std::string("3")); }) ==
          "ssh-tpm-agent: two keys: 2, one more: 3\n");
    CHECK(written_to_stderr([] { log_module::error("no TPM"); }) == "ssh-tpm-agent: error: no TPM\n");
}

TEST_CASE("lines above the level are dropped") {
    const auto all = [] {
        log_module::error("e");
        log_module::info("i");
        log_module::debug("d");
    };
    log_module::configure("p", log_module::Level::error);
    CHECK(written_to_stderr(all) == "p: error: e\n");
    log_module::configure("p", log_module::Level::info);
    CHECK(written_to_stderr(all) == "p: error: e\np: i\n");
    log_module::configure("p", log_module::Level::debug);
    CHECK(written_to_stderr(all) == "p: error: e\np: i\np: d\n");
}

TEST_CASE("what nobody reads does not stop the program, and is counted") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]), writing(ends[1]);
    const UniqueFd kept(::dup(STDERR_FILENO));
    log_module::configure("p", log_module::Level::info);
    constexpr int lines = 3000;
    const std::string text(100, 'x');
    ::dup2(writing.value(), STDERR_FILENO);
    for (int i = 0; i < lines; ++i) // more than a pipe holds
        log_module::info(text);
    REQUIRE(::fcntl(reading.value(), F_SETFL, O_NONBLOCK) == 0);
    std::string read;
    std::array<char, 4096> buffer{};
    const auto drain = [&] {
        for (ssize_t got = 0; (got = ::read(reading.value(), buffer.data(), buffer.size())) > 0;)
            read.append(buffer.data(), static_cast<std::size_t>(got));
    };
    drain();
    const auto written = static_cast<int>(read.size() / (text.size() + 4));
    log_module::info("one more");
    drain();
    ::dup2(kept.value(), STDERR_FILENO);
    CHECK(written < lines);
    CHECK(read.ends_with("p: " + std::to_string(lines - written) + " lines lost\np: one more\n"));
}
