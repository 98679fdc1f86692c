// Keys in a private swtpm: made, signed with, counted command by command. That the signatures are right is
// tested in test/identity, where there is a public key to check them with.

#include "base/error.hpp"
#include "support/catch.hpp"
#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"
#include "tpm/capability.hpp"
#include "tpm/create.hpp"
#include "tpm/device.hpp"
#include "tpm/pin.hpp"
#include "tpm/primary.hpp"
#include "tpm/provision.hpp"

#include <algorithm>

using namespace sshtpm;

namespace {

const Bytes digest(32, 0x5A);

using Names = std::vector<std::string>;

tpm::Auth pin(std::string_view text) {
    return tpm::to_auth(Secret::copy_of(bytes_of(text)));
}

std::shared_ptr<const keyfile::KeyFile> make(tpm::Device& device, const tpm::Auth& auth = nullptr,
                                             const tpm::KeyAlgorithm& algorithm = {}) {
    return std::make_shared<const keyfile::KeyFile>(tpm::create_key(device, algorithm, auth));
}

bool signs(tpm::Device& device, const std::shared_ptr<const keyfile::KeyFile>& key,
           const tpm::Auth& auth = nullptr) {
    return std::holds_alternative<TPMT_SIGNATURE>(device.keys().sign(key, auth, TPM2_ALG_SHA256, digest));
}

} // namespace

SCENARIO("a warm key costs one command") {
    const support::Swtpm swtpm;
    support::TctiLog log(swtpm.tcti());
    {
        tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
        tpm::provision(device.context());
    }
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});

    GIVEN("a key without a PIN, under the persistent storage key") {
        const auto key = make(device);
        log.clear();
        WHEN("it signs for the first time") {
            REQUIRE(signs(device, key));
            THEN("that is a Load and a Sign") {
                CHECK(log.commands() == Names{"TPM2_Load", "TPM2_Sign"});
            }
            AND_WHEN("it signs again") {
                log.clear();
                REQUIRE(signs(device, key));
                THEN("that is a Sign") {
                    CHECK(log.commands() == Names{"TPM2_Sign"});
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
        log.clear();
        REQUIRE(signs(device, key, auth));
        CHECK(log.commands() == Names{"TPM2_Load", "TPM2_StartAuthSession", "TPM2_GetRandom", "TPM2_Sign"});
        log.clear();
        REQUIRE(signs(device, key, auth));
        CHECK(log.commands() == Names{"TPM2_Sign"});
    }
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("without a persistent storage key the parent is made for the first use") {
    const support::Swtpm swtpm;
    support::TctiLog log(swtpm.tcti());
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});
    const auto key = make(device);
    log.clear();
    REQUIRE(signs(device, key));
    CHECK(log.commands() == Names{"TPM2_CreatePrimary", "TPM2_Load", "TPM2_FlushContext", "TPM2_Sign"});
    log.clear();
    REQUIRE(signs(device, key));
    CHECK(log.commands() == Names{"TPM2_Sign"});
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("more keys than may stay warm take turns") {
    const support::Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    std::vector<std::shared_ptr<const keyfile::KeyFile>> keys;
    for (int i = 0; i < 4; ++i)
        keys.push_back(make(device));
    for (int round = 0; round < 3; ++round)
        for (const auto& key : keys)
            REQUIRE(signs(device, key));
    CHECK(swtpm.loaded_handles() <= tpm::WarmKeys::capacity);
    device.keys().flush();
    CHECK(device.keys().holds_nothing());
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("a wrong PIN is told apart from a failure") {
    const support::Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    const auto right = pin("right"), wrong = pin("wrong");
    const auto key = make(device, right);
    CHECK_FALSE(signs(device, key, wrong));
    CHECK_FALSE(signs(device, key, nullptr));
    CHECK(signs(device, key, right));
    CHECK(tpm::read_lockout(device.context()).failures == 2);
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("a session goes with the wrong PIN that it was used for") {
    const support::Swtpm swtpm;
    support::TctiLog log(swtpm.tcti());
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});
    const auto right = pin("right");
    const auto key = make(device, right);
    REQUIRE(signs(device, key, right));
    log.clear();
    REQUIRE_FALSE(signs(device, key, pin("wrong")));
    CHECK(log.commands() == Names{"TPM2_Sign", "TPM2_FlushContext"});
    log.clear();
    REQUIRE(signs(device, key, right));
    CHECK(log.count("TPM2_StartAuthSession") == 1);
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("another TPM's key is refused with one Load and its own error") {
    const support::Swtpm here, there;
    std::shared_ptr<const keyfile::KeyFile> key;
    {
        tpm::Device device({.tcti = there.tcti(), .emulator_state = {}});
        key = make(device);
    }
    support::TctiLog log(here.tcti());
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});
    log.clear();
    try {
        device.keys().sign(key, nullptr, TPM2_ALG_SHA256, digest);
        FAIL("a foreign key signed");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::foreign_key);
    }
    CHECK(log.count("TPM2_Load") == 1);
    CHECK(here.loaded_handles() == 0);
}

SCENARIO("a key loaded in a TPM that was reset is loaded again within the same request") {
    support::Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    const auto key = make(device);
    REQUIRE(signs(device, key));
    swtpm.stop();
    swtpm.start();
    CHECK(signs(device, key));
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("after a reset no key signs for another one that had its number") {
    support::Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    const auto one = make(device, nullptr, {TPM2_ALG_RSA, 0, 2048}), other = make(device);
    device.keys().flush();
    REQUIRE(signs(device, one));
    swtpm.stop();
    swtpm.start();
    CHECK(signs(device, other)); // loaded where the first one was
    CHECK(signs(device, one));   // an ECC key could not: the scheme is for RSA
    CHECK(signs(device, other));
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("the PIN is on the bus neither when the key is made nor when it signs") {
    const support::Swtpm swtpm;
    support::TctiLog log(swtpm.tcti());
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});
    const std::string secret = "a PIN nobody guesses";
    const auto auth = pin(secret);
    const auto key = make(device, auth);
    REQUIRE(signs(device, key, auth));
    const auto bus = log.bus();
    const auto needle = bytes_of(secret);
    REQUIRE(bus.size() > 500);
    CHECK(std::search(bus.begin(), bus.end(), needle.begin(), needle.end()) == bus.end());
}

SCENARIO("the same PIN in the clear would be seen") { // that the test above can fail
    const support::Swtpm swtpm;
    support::TctiLog log(swtpm.tcti());
    tpm::Device device({.tcti = log.tcti(), .emulator_state = {}});
    const std::string secret = "a PIN nobody guesses";
    const auto key = make(device, pin(secret));
    const tpm::Context context(log.tcti());
    tpm::Parents parents(context);
    auto parent = parents.open(*key);
    const auto handle = tpm::load_key(context, parents, parent, *key);
    const tpm::AuthInUse in_use(context, handle.tr(), pin(secret));
    (void)tpm::sign(context, handle.tr(), TPM2_ALG_ECC, ESYS_TR_PASSWORD, TPM2_ALG_SHA256, digest);
    const auto bus = log.bus();
    const auto needle = bytes_of(secret);
    CHECK(std::search(bus.begin(), bus.end(), needle.begin(), needle.end()) != bus.end());
}

SCENARIO("a size that the TPM lacks is an error that lists what it has") {
    const support::Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    const auto has = tpm::supported_algorithms(device.context());
    CHECK(std::ranges::find(has, tpm::KeyAlgorithm{}) != has.end());
    const tpm::KeyAlgorithm rsa_4096{TPM2_ALG_RSA, 0, 4096};
    if (std::ranges::find(has, rsa_4096) == has.end())
        try {
            tpm::require_support(device.context(), rsa_4096);
            FAIL("support was claimed");
        } catch (const Error& error) {
            CHECK(error.code() == Errc::unsupported);
            CHECK_THAT(error.hint(), support::contains("ECDSA 256"));
        }
}

SCENARIO("a persistent object that only looks like the storage key is noticed and not used") {
    const support::Swtpm swtpm;
    std::shared_ptr<const keyfile::KeyFile> key;
    {
        tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
        key = make(device);
        // The same template with other bytes in its unique field: another key, with the same attributes.
        auto impostor = tpm::ecc_storage_key();
        impostor.publicArea.unique.ecc.x.size = 32;
        impostor.publicArea.unique.ecc.y.size = 32;
        const auto handle = tpm::create_primary(device.context(), ESYS_TR_RH_OWNER, impostor);
        ESYS_TR persistent = ESYS_TR_NONE;
        REQUIRE(Esys_EvictControl(device.context().esys(), ESYS_TR_RH_OWNER, handle.tr(), ESYS_TR_PASSWORD,
                                  ESYS_TR_NONE, ESYS_TR_NONE, tpm::srk_handle,
                                  &persistent) == TSS2_RC_SUCCESS);
    }
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    CHECK(signs(device, key));
    const auto made_here = make(device);
    CHECK(signs(device, made_here));
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

TEST_CASE("a PIN is the bytes typed, without zeros at the end, at most 32 of them") {
    CHECK(pin("") == nullptr);
    CHECK(pin(std::string_view("\0\0", 2)) == nullptr);
    CHECK(pin(std::string_view("a\0", 2))->size() == 1);
    CHECK(pin(std::string(32, 'x'))->size() == 32);
    CHECK_THROWS_AS(pin(std::string(33, 'x')), Error);
}

TEST_CASE("no TPM and no emulator behind a TCTI string are errors with a hint") {
    try {
        const tpm::Context context("device:/nonexistent/tpmrm0");
        FAIL("there was a TPM");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::not_found);
        CHECK_THAT(error.hint(), support::contains("--swtpm"));
    }
    CHECK_THROWS_AS(tpm::Context("swtpm:path=/nonexistent/socket"), Error);
}
