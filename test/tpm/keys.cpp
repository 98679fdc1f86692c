// SPDX-License-Identifier: MIT
// Keys in a private swtpm, where a client cannot see it. What signatures cost in commands is in
// test/scenario/signatures.py, which also checks that they are right.

#include "base/error.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/capability.hpp"
#include "tpm/session.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

SCENARIO("a session goes with the wrong PIN that it was used for") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto right = pin("right");
    const auto key = make(device, right);
    REQUIRE(signs(device, key, right));
    lab.log.clear();
    REQUIRE_FALSE(signs(device, key, pin("wrong")));
    CHECK(lab.log.commands() == Names{"TPM2_Sign", "TPM2_FlushContext"});
    lab.log.clear();
    REQUIRE(signs(device, key, right));
    CHECK(lab.log.count("TPM2_StartAuthSession") == 1);
    CHECK(lab.close() == 0);
}

SCENARIO("after a reset no key signs for another one that had its number") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto one = make(device, nullptr, {TPM2_ALG_RSA, 0, 2048}), other = make(device);
    device.keys().flush();
    REQUIRE(signs(device, one));
    lab.swtpm.stop();
    lab.swtpm.start();
    CHECK(signs(device, other)); // loaded where the first one was
    CHECK(signs(device, one));   // an ECC key could not: the scheme is for RSA
    CHECK(signs(device, other));
    CHECK(lab.close() == 0);
}

SCENARIO("a size that the TPM lacks is an error that lists what it has") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto has = tpm::supported_algorithms(device.context());
    CHECK(std::ranges::find(has, tpm::KeyAlgorithm{}) != has.end());
    const tpm::KeyAlgorithm rsa_4096{TPM2_ALG_RSA, 0, 4096};
    if (std::ranges::find(has, rsa_4096) == has.end()) {
        const auto error = thrown([&] { tpm::require_support(device.context(), rsa_4096); });
        CHECK(error.code() == Errc::unsupported);
        CHECK_THAT(error.hint(), contains("ECDSA 256"));
    }
}

TEST_CASE("a PIN is the bytes typed, without zeros at the end, at most 32 of them") {
    CHECK(pin("") == nullptr);
    CHECK(pin(std::string_view("\0\0", 2)) == nullptr);
    CHECK(pin(std::string_view("a\0", 2))->size() == 1);
    CHECK(pin(std::string(32, 'x'))->size() == 32);
    CHECK_THROWS_AS(pin(std::string(33, 'x')), Error);
}
