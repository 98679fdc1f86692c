// SPDX-License-Identifier: MIT
#include "agent/tpm_thread.hpp"

#include "support/catch.hpp"
#include "support/swtpm.hpp"

#include <future>

using namespace sshtpm;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// A job on its way, and how it ended.
struct Job {
    asio::cancellation_signal cancel;
    std::optional<int> result;
    bool failed = false;

    template <class Work>
    void start(asio::io_context& loop, agent::TpmThread& thread, Work work) {
        const auto ended = [this](const std::exception_ptr& failure, int value) {
            failed = failure != nullptr;
            result = value;
        };
        asio::co_spawn(loop, thread.run(work), asio::bind_cancellation_slot(cancel.slot(), ended));
        loop.poll();
    }
};

} // namespace

TEST_CASE("a job that has begun is awaited when it is cancelled; one that has not is not run") {
    support::Swtpm swtpm;
    asio::io_context loop(1);
    agent::TpmThread thread(loop.get_executor(), {.tcti = swtpm.tcti(), .emulator_state = {}}, nullptr);
    std::promise<void> begun, go;
    bool second_ran = false;
    Job first, second;
    first.start(loop, thread, [&begun, &go](tpm::Tpm&) {
        begun.set_value();
        go.get_future().wait();
        return 1;
    });
    second.start(loop, thread, [&second_ran](tpm::Tpm&) {
        second_ran = true;
        return 2;
    });
    begun.get_future().wait();
    first.cancel.emit(asio::cancellation_type::terminal);
    second.cancel.emit(asio::cancellation_type::terminal);
    loop.poll();
    CHECK(second.failed);
    CHECK_FALSE(first.result);
    go.set_value();
    loop.run();
    CHECK_FALSE(first.failed);
    CHECK(first.result == 1);
    CHECK_FALSE(second_ran);
    CHECK(thread.end_within(10s));
    CHECK(swtpm.loaded_handles() == 0);
}

TEST_CASE("what a job throws comes to its coroutine") {
    support::Swtpm swtpm;
    asio::io_context loop(1);
    agent::TpmThread thread(loop.get_executor(), {.tcti = swtpm.tcti(), .emulator_state = {}}, nullptr);
    Job job;
    job.start(loop, thread, [](tpm::Tpm&) -> int { throw Error(Errc::refused, "no"); });
    loop.run();
    CHECK(job.failed);
    CHECK(thread.end_within(10s));
}

TEST_CASE("without a TPM each job fails, and the loop hears when the connection was opened") {
    support::Swtpm swtpm;
    asio::io_context loop(1);
    int changes = 0;
    const auto count = [&changes] { ++changes; };
    agent::TpmThread absent(loop.get_executor(), {.tcti = "swtpm:path=/nonexistent", .emulator_state = {}},
                            nullptr, count);
    agent::TpmThread present(loop.get_executor(), {.tcti = swtpm.tcti(), .emulator_state = {}}, nullptr,
                             count);
    Job job, other;
    for (int times = 0; times < 2; ++times) {
        job.start(loop, absent, [](tpm::Tpm&) { return 1; });
        loop.run();
        loop.restart();
        CHECK(job.failed);
    }
    CHECK(changes == 0);
    for (int times = 0; times < 2; ++times) {
        other.start(loop, present, [](tpm::Tpm&) { return 1; });
        loop.run();
        loop.restart();
        CHECK_FALSE(other.failed);
    }
    CHECK(changes == 1);
}
