// SPDX-License-Identifier: MIT
#include "tpm/lockout.hpp"

#include "support/catch.hpp"

#include <cstdint>

using namespace sshtpm;
using support::contains;
using tpm::Lockout;
using tpm::lockout_text;

TEST_CASE("the wrong PINs that are left are counted for a person") {
    Lockout lockout{.active = false, .failures = 0, .max_failures = 3, .interval = 600};
    const std::string locked = "the TPM is locked; one try comes back every 10 minutes";
    for (const auto& [failures, text] : std::vector<std::pair<unsigned, std::string>>{
             {0, "3 wrong PINs left before the TPM locks"},
             {1, "2 wrong PINs left before the TPM locks"},
             {2, "1 wrong PIN left before the TPM locks"},
             {3, locked + ", all of them within 30 minutes"},
             {4, locked + ", all of them within 40 minutes"}}) { // the limit was lowered
        lockout.failures = failures;
        CHECK(lockout_text(lockout) == text);
    }
    CHECK(lockout_text({.active = true, .failures = 1, .max_failures = 1, .interval = 600}) == locked);
}

TEST_CASE("the time for one try is told in the unit that a person counts in, never too short") {
    for (const auto& [interval, text] : std::vector<std::pair<std::uint32_t, std::string>>{
             {1, "back every second, all of them within 32 seconds"},
             {59, "back every 59 seconds"},
             {60, "back every minute"},
             {61, "back every 61 seconds"},
             {600, "back every 10 minutes"},
             {1000, "back about every 17 minutes"},
             {3600, "back every hour"},
             {3601, "back about every 61 minutes"},
             {7200, "back every 2 hours"},
             {86400, "back every day"},
             {0xFFFFFFFF, "back about every 49711 days"},
             {0xFFFFFFFF, "within 1590729 days"},
             {0, "no try comes back by itself"}})
        CHECK_THAT(lockout_text({.active = true, .failures = 32, .max_failures = 32, .interval = interval}),
                   contains(text));
}

TEST_CASE("a TPM that counts nothing, and one that has no tries, are said to") {
    CHECK(lockout_text({.active = false, .failures = 0, .max_failures = 3}) ==
          "the TPM does not count wrong PINs of this key");
    CHECK_THAT(lockout_text({.active = true, .failures = 0, .max_failures = 0, .interval = 600}),
               contains("no try comes back by itself"));
}

TEST_CASE("the hint of a lockout tells of the lockout password, and what a wrong one costs") {
    Lockout lockout{.active = true, .failures = 3, .max_failures = 3, .interval = 600, .recovery = 1000};
    CHECK_THAT(tpm::lockout_hint(lockout), contains("has no lockout password"));
    lockout.password_set = true;
    for (const auto& [recovery, text] : std::vector<std::pair<std::uint32_t, std::string>>{
             {1000, "for 17 minutes)"}, {86400, "for 1 day)"}, {0, "until it is reset)"}}) {
        lockout.recovery = recovery;
        CHECK_THAT(tpm::lockout_hint(lockout), contains("takes none " + text));
    }
}

TEST_CASE("the last try is the one after which the TPM locks, where it locks at all") {
    CHECK_FALSE(Lockout{.active = false, .failures = 1, .max_failures = 3, .interval = 600}.last_try());
    CHECK(Lockout{.active = false, .failures = 2, .max_failures = 3, .interval = 600}.last_try());
    CHECK_FALSE(Lockout{.active = false, .failures = 2, .max_failures = 3, .interval = 0}.last_try());
}
