// SPDX-License-Identifier: MIT
#include "base/time_limits.hpp"

#include "support/test.hpp"

using namespace sshtpm;
using namespace std::chrono_literals;

TEST_CASE("the limits of time are these") {
    const TimeLimits limits;
    CHECK(limits.tpm_open == 10s);
    CHECK(limits.tpm_command == 10s);
    CHECK(limits.tpm_key_command == 180s);
    CHECK(limits.tpm_busy == 30s);
    CHECK(limits.tpm_idle == 5s);
    CHECK(limits.emulator_turn == 60s);
    CHECK(limits.emulator_linger == 10s);
    CHECK(limits.known_tpms_lock == 2s);
    CHECK(limits.answer == 120s);
    CHECK(limits.wrong_password == 10s);
    CHECK(limits.frame == 30s);
    CHECK(limits.socket_folder == 3s);
    CHECK(limits.end == 2s);
    CHECK(limits.sshd == 3s);
    CHECK(limits.host_agent == 5s);
    CHECK(limits.upstream_list == 1s);
    CHECK(limits.upstream_quick == 250ms);
    CHECK(limits.upstream_request == 150s);
    CHECK(limits.upstream_idle == 30s);
    CHECK(limits.upstream_rest == 60s);
    CHECK(limits.attest_question == 2s);
    CHECK(limits.attest_login == 20s);
    CHECK(limits.attest_answer == 10s);
    CHECK(limits.attest_idle == 300s);
}
