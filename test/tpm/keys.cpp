// Keys in a private swtpm: made, signed with, counted command by command. That the signatures are right is
// tested in test/identity, where there is a public key to check them with.

#include "base/error.hpp"
#include "bus.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/capability.hpp"
#include "tpm/pin.hpp"
#include "tpm/primary.hpp"
#include "tpm/templates.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

SCENARIO("a warm key costs one command") {
    Lab lab(Srk::persistent);
    auto& device = *lab.device;

    GIVEN("a key without a PIN, under the persistent storage key") {
        const auto key = make(device);
        lab.log.clear();
        WHEN("it signs for the first time") {
            REQUIRE(signs(device, key));
            THEN("that is a Load and a Sign") {
                CHECK(lab.log.commands() == Names{"TPM2_Load", "TPM2_Sign"});
            }
            AND_WHEN("it signs again") {
                lab.log.clear();
                REQUIRE(signs(device, key));
                THEN("that is a Sign") {
                    CHECK(lab.log.commands() == Names{"TPM2_Sign"});
                }
            }
        }
    }
    GIVEN("a key with a PIN") {
        const auto auth = pin("1234");
        const auto key = make(device, auth), other = make(device, auth);
        // A TPM answers the first use of any guarded key since its start with TPM_RC_RETRY, while it notes in
        // NV that dictionary-attack protection is in use; ESYS asks again.
        REQUIRE(signs(device, other, auth));
        device.keys().flush();
        lab.log.clear();
        REQUIRE(signs(device, key, auth));
        CHECK(lab.log.commands() ==
              Names{"TPM2_Load", "TPM2_StartAuthSession", "TPM2_GetRandom", "TPM2_Sign"});
        lab.log.clear();
        REQUIRE(signs(device, key, auth));
        CHECK(lab.log.commands() == Names{"TPM2_Sign"});
    }
    CHECK(lab.close() == 0);
}

SCENARIO("without a persistent storage key the parent is made for the first use") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto key = make(device);
    lab.log.clear();
    REQUIRE(signs(device, key));
    CHECK(lab.log.commands() == Names{"TPM2_CreatePrimary", "TPM2_Load", "TPM2_FlushContext", "TPM2_Sign"});
    lab.log.clear();
    REQUIRE(signs(device, key));
    CHECK(lab.log.commands() == Names{"TPM2_Sign"});
    CHECK(lab.close() == 0);
}

SCENARIO("more keys than may stay warm take turns") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    std::vector<SharedKey> keys;
    for (int i = 0; i < 4; ++i)
        keys.push_back(make(device));
    for (int round = 0; round < 3; ++round)
        for (const auto& key : keys)
            REQUIRE(signs(device, key));
    CHECK(lab.swtpm.loaded_handles() <= tpm::WarmKeys::capacity);
    device.keys().flush();
    CHECK(device.keys().holds_nothing());
    CHECK(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("a wrong PIN is told apart from a failure") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto right = pin("right"), wrong = pin("wrong");
    const auto key = make(device, right);
    CHECK_FALSE(signs(device, key, wrong));
    CHECK_FALSE(signs(device, key, nullptr));
    CHECK(signs(device, key, right));
    CHECK(tpm::read_lockout(device.context()).failures == 2);
    CHECK(lab.close() == 0);
}

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

SCENARIO("another TPM's key is refused with one Load and its own error") {
    Lab here(Srk::absent), there(Srk::absent);
    const auto key = make(*there.device);
    here.log.clear();
    CHECK(refusal([&] { signs(*here.device, key); }) == Errc::foreign_key);
    CHECK(here.log.count("TPM2_Load") == 1);
    CHECK(here.swtpm.loaded_handles() == 0);
}

SCENARIO("a key loaded in a TPM that was reset is loaded again within the same request") {
    Lab lab(Srk::absent);
    auto& device = *lab.device;
    const auto key = make(device);
    REQUIRE(signs(device, key));
    lab.swtpm.stop();
    lab.swtpm.start();
    CHECK(signs(device, key));
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

SCENARIO("the PIN is on the bus neither when the key is made nor when it signs") {
    Lab lab(Srk::absent);
    constexpr std::string_view secret = "a PIN nobody guesses";
    const auto key = make(*lab.device, pin(secret));
    REQUIRE(signs(*lab.device, key, pin(secret)));
    REQUIRE(lab.log.bus().size() > 500);
    CHECK(never_on_bus(lab.log, secret));
    // In the clear it would be seen.
    const tpm::Context context(lab.log.tcti());
    tpm::Parents parents(context);
    auto parent = parents.open(*key);
    const auto handle = tpm::load_key(context, parents, parent, *key);
    const tpm::AuthInUse in_use(context, handle.tr(), pin(secret));
    (void)tpm::sign(context, handle.tr(), TPM2_ALG_ECC, ESYS_TR_PASSWORD, TPM2_ALG_SHA256, Bytes(32, 1));
    CHECK_FALSE(never_on_bus(lab.log, secret));
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

SCENARIO("a persistent object that only looks like the storage key is noticed and not used") {
    Lab lab(Srk::absent);
    const auto key = make(*lab.device);
    // The same template with other bytes in its unique field: another key, with the same attributes.
    auto impostor = tpm::ecc_storage_key();
    impostor.publicArea.unique.ecc.x.size = 32;
    impostor.publicArea.unique.ecc.y.size = 32;
    make_persistent(lab.unseen, impostor, tpm::srk_handle);
    auto& device = lab.reopen();
    CHECK(signs(device, key));
    CHECK(signs(device, make(device)));
    CHECK(lab.close() == 0);
}

TEST_CASE("a PIN is the bytes typed, without zeros at the end, at most 32 of them") {
    CHECK(pin("") == nullptr);
    CHECK(pin(std::string_view("\0\0", 2)) == nullptr);
    CHECK(pin(std::string_view("a\0", 2))->size() == 1);
    CHECK(pin(std::string(32, 'x'))->size() == 32);
    CHECK_THROWS_AS(pin(std::string(33, 'x')), Error);
}

TEST_CASE("no TPM and no emulator behind a TCTI string are errors with a hint") {
    const auto error = thrown([] { const tpm::Context context("device:/nonexistent/tpmrm0"); });
    CHECK(error.code() == Errc::not_found);
    CHECK_THAT(error.hint(), contains("--swtpm"));
    CHECK_THROWS_AS(tpm::Context("swtpm:path=/nonexistent/socket"), Error);
}
