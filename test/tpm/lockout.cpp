#include "tpm/lockout.hpp"

#include "support/catch.hpp"

using namespace sshtpm;
using tpm::Lockout;
using tpm::lockout_text;

namespace {

std::string text_every(std::uint32_t interval) {
    return lockout_text(
        Lockout{.active = true, .failures = 32, .max_failures = 32, .interval = interval, .recovery = 0});
}

} // namespace

TEST_CASE("the wrong PINs that are left are counted for a person") {
    Lockout lockout{.active = false, .failures = 0, .max_failures = 3, .interval = 600, .recovery = 0};
    CHECK(lockout_text(lockout) == "3 wrong PINs left before the TPM locks");
    lockout.failures = 1;
    CHECK(lockout_text(lockout) == "2 wrong PINs left before the TPM locks");
    lockout.failures = 2;
    CHECK(lockout_text(lockout) == "1 wrong PIN left before the TPM locks");
    lockout.failures = 3;
    CHECK(lockout_text(lockout) == "the TPM is locked; one try comes back every 10 minutes, "
                                   "all of them within 30 minutes");
    lockout.failures = 4; // the limit was lowered
    CHECK_THAT(lockout_text(lockout), support::contains("all of them within 40 minutes"));
    lockout = {.active = true, .failures = 1, .max_failures = 1, .interval = 600};
    CHECK(lockout_text(lockout) == "the TPM is locked; one try comes back every 10 minutes");
}

TEST_CASE("the time for one try is told in the unit that a person counts in, never too short") {
    CHECK(text_every(1) ==
          "the TPM is locked; one try comes back every second, all of them within 32 seconds");
    CHECK_THAT(text_every(59), support::contains("every 59 seconds"));
    CHECK_THAT(text_every(60), support::contains("every minute"));
    CHECK_THAT(text_every(61), support::contains("every 61 seconds"));
    CHECK_THAT(text_every(600), support::contains("every 10 minutes"));
    CHECK_THAT(text_every(1000), support::contains("about every 17 minutes"));
    CHECK_THAT(text_every(3600), support::contains("every hour"));
    CHECK_THAT(text_every(3601), support::contains("about every 61 minutes"));
    CHECK_THAT(text_every(7200), support::contains("every 2 hours"));
    CHECK_THAT(text_every(86400), support::contains("every day"));
    CHECK_THAT(text_every(0xFFFFFFFF), support::contains("about every 49711 days"));
    CHECK_THAT(text_every(0xFFFFFFFF), support::contains("within 1590729 days"));
}

TEST_CASE("a TPM that counts nothing, and one that never unlocks by itself, are said to") {
    CHECK(lockout_text(
              Lockout{.active = false, .failures = 0, .max_failures = 3, .interval = 0, .recovery = 0}) ==
          "this TPM does not count wrong PINs");
    CHECK_THAT(lockout_text(
                   Lockout{.active = true, .failures = 0, .max_failures = 0, .interval = 600, .recovery = 0}),
               support::contains("no try comes back by itself"));
    CHECK_THAT(text_every(0), support::contains("no try comes back by itself"));
}

TEST_CASE("the hint of a lockout tells of the lockout password, and what a wrong one costs") {
    Lockout lockout{.active = true, .failures = 3, .max_failures = 3, .interval = 600, .recovery = 1000};
    CHECK_THAT(tpm::lockout_hint(lockout), support::contains("has no lockout password"));
    lockout.password_set = true;
    CHECK_THAT(tpm::lockout_hint(lockout), support::contains("takes none for 17 minutes)"));
    lockout.recovery = 86400;
    CHECK_THAT(tpm::lockout_hint(lockout), support::contains("takes none for 1 day)"));
    lockout.recovery = 0;
    CHECK_THAT(tpm::lockout_hint(lockout), support::contains("takes none until it is reset)"));
}

TEST_CASE("the last try is the one after which the TPM locks, where it locks at all") {
    Lockout lockout{.active = false, .failures = 1, .max_failures = 3, .interval = 600};
    CHECK_FALSE(lockout.last_try());
    lockout.failures = 2;
    CHECK(lockout.last_try());
    lockout.interval = 0;
    CHECK_FALSE(lockout.last_try());
}
