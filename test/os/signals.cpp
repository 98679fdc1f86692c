// SPDX-License-Identifier: MIT
#include "os/signals.hpp"

#include "support/test.hpp"

#include <csignal>

using namespace sshtpm;
using namespace support;

namespace {

bool is_blocked(int number) {
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    return sigismember(&blocked, number) == 1;
}

} // namespace

TEST_CASE("signals are blocked for the lifetime of the object") {
    const os::BlockedSignals outer{SIGTTOU};
    {
        const os::BlockedSignals all;
        CHECK(is_blocked(SIGTERM));
        CHECK(is_blocked(SIGTTOU));
    }
    CHECK_FALSE(is_blocked(SIGTERM));
    CHECK(is_blocked(SIGTTOU));
}

TEST_CASE("signals that are not named stay as they were") {
    {
        const os::BlockedSignals some{SIGTTOU, SIGTTIN};
        CHECK(is_blocked(SIGTTOU));
        CHECK(is_blocked(SIGTTIN));
        CHECK_FALSE(is_blocked(SIGTERM));
    }
    CHECK_FALSE(is_blocked(SIGTTOU));
}
