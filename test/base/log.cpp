// SPDX-License-Identifier: MIT
#include "base/log.hpp"

#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "support/catch.hpp"
#include "support/stderr.hpp"
#include "support/variable.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
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

namespace {

/// "DEVICE:INODE" of stderr, as systemd puts it into JOURNAL_STREAM.
std::string stream_of_stderr() {
    struct stat status = {};
    REQUIRE(::fstat(STDERR_FILENO, &status) == 0);
    return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

} // namespace

TEST_CASE("in the journal each line has its priority, and a hint that of its error") {
    log_module::configure("p", log_module::Level::debug);
    const auto all = [] {
        const support::Variable stream("JOURNAL_STREAM", stream_of_stderr().c_str());
        log_module::error("e");
        log_module::warning("w");
        log_module::info("i");
        log_module::debug("d");
        log_module::report(sshtpm::Error(sshtpm::Errc::io, "no\nTPM", "look for it"), "; skipped");
    };
    CHECK(written_to_stderr(all) == "<3>p: error: e\n<4>p: warning: w\n<6>p: i\n<7>p: d\n"
                                    "<3>p: error: no?TPM; skipped\n<3>p: hint: look for it\n");
}

TEST_CASE("a line that does not go to the journal has no priority") {
    log_module::configure("p", log_module::Level::info);
    const std::string change = GENERATE("", "0", ":", "x", " ", "a pipe of its own");
    INFO(change);
    const auto outside = stream_of_stderr();
    const auto line = [&] {
        auto text = stream_of_stderr();
        if (change == "a pipe of its own")
            text = outside;
        else if (change.empty() || change == ":")
            text = change;
        else
            text += change;
        const support::Variable stream("JOURNAL_STREAM", text.c_str());
        log_module::error("e");
    };
    CHECK(written_to_stderr(line) == "p: error: e\n");
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
