// SPDX-License-Identifier: MIT
// Keys made from a hierarchy's seed: what they cost, and what a reset does to them.

#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"

#include <array>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

const tpm::KeyAlgorithm rsa_2048{TPM2_ALG_RSA, 0, 2048};
const auto made_again = Names{"TPM2_CreatePrimary", "TPM2_ReadPublic", "TPM2_ContextSave", "TPM2_Sign"};

/// As the agent does it: one key, shared, signs again and again.
struct Key {
    SharedKey file;

    static SharedKey made(tpm::Tpm& device, TPM2_HANDLE hierarchy, const tpm::KeyAlgorithm& algorithm) {
        auto job = [&](tpm::Tpm& opened) { return tpm::make_primary_key(opened, hierarchy, algorithm); };
        return std::make_shared<const keyfile::KeyFile>(device.run(job));
    }

    explicit Key(tpm::Tpm& device, TPM2_HANDLE hierarchy = TPM2_RH_ENDORSEMENT,
                 const tpm::KeyAlgorithm& algorithm = {})
        : file(made(device, hierarchy, algorithm)) {}

    bool signs(tpm::Tpm& device) const { return tpm_test::signs(device, file); }
    Bytes area() const { return keyfile::marshal_public(file->public_area); }
};

} // namespace

SCENARIO("a hierarchy's key is made once, and comes back from its saved context") {
    Lab lab(Srk::absent);
    lab.log.clear();
    const Key key(*lab.device);
    CHECK(lab.log.commands() ==
          Names{"TPM2_CreatePrimary", "TPM2_ReadPublic", "TPM2_ContextSave", "TPM2_FlushContext"});
    CHECK(lab.swtpm.loaded_handles() == 0);
    lab.log.clear();
    REQUIRE(key.signs(*lab.device));
    CHECK(lab.log.commands() == Names{"TPM2_ContextLoad", "TPM2_Sign"});
    lab.log.clear();
    REQUIRE(key.signs(*lab.device));
    CHECK(lab.log.commands() == Names{"TPM2_Sign"});
    // A connection that broke and was made anew.
    auto failing = [](tpm::Tpm&) { throw Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_IO_ERROR, "broken"); };
    CHECK_THROWS_AS(lab.device->run(failing), Error);
    auto signing = [&](tpm::Tpm& device) { REQUIRE(key.signs(device)); };
    lab.log.clear();
    lab.device->run(signing);
    CHECK(lab.log.count("TPM2_CreatePrimary") == 0);
    CHECK(lab.log.count("TPM2_ContextLoad") == 1);
    CHECK(lab.close() == 0);
}

SCENARIO("after a reset the same key is made again, once, within the same request") {
    Lab lab(Srk::absent);
    const auto hierarchy = GENERATE(TPM2_RH_ENDORSEMENT, TPM2_RH_OWNER, TPM2_RH_PLATFORM);
    const Key key(*lab.device, hierarchy);
    GIVEN("a warm key") {
        REQUIRE(key.signs(*lab.device));
    }
    GIVEN("a cold one") {}
    lab.swtpm.stop();
    lab.swtpm.start();
    lab.log.clear();
    REQUIRE(key.signs(*lab.device));
    CHECK(lab.log.count("TPM2_CreatePrimary") == 1);
    const auto lines = lab.log.commands();
    CHECK(Names(lines.end() - 4, lines.end()) == made_again);
    lab.device->keys().flush();
    lab.log.clear();
    REQUIRE(key.signs(*lab.device));
    CHECK(lab.log.commands() == Names{"TPM2_ContextLoad", "TPM2_Sign"});
    CHECK(lab.close() == 0);
}

SCENARIO("an RSA key is made again as what it was, whatever hashes the TPM has then") {
    Lab without(Srk::absent, {TPM2_ALG_SHA512});
    const Key key(*without.device, TPM2_RH_ENDORSEMENT, rsa_2048);
    CHECK((key.file->public_area.objectAttributes & TPMA_OBJECT_DECRYPT) != 0);
    const Key ecdsa(*without.device);
    CHECK((ecdsa.file->public_area.objectAttributes & TPMA_OBJECT_DECRYPT) == 0);
    tpm::Tpm with(tpm::Target{.tcti = without.swtpm.tcti(), .emulator_state = {}});
    with.ensure_open();
    const Key other(with, TPM2_RH_ENDORSEMENT, rsa_2048);
    CHECK((other.file->public_area.objectAttributes & TPMA_OBJECT_DECRYPT) == 0);
    CHECK(other.area() != key.area());
    for (auto* device : {&*without.device, &with}) { // neither has a context of the other one's key
        CHECK(key.signs(*device));
        device->keys().flush();
        CHECK(other.signs(*device));
        device->keys().flush();
    }
    CHECK(without.close() == 0);
}

SCENARIO("the null hierarchy's key does not survive a reset, and no other one takes its place") {
    Lab lab(Srk::absent);
    const Key key(*lab.device, TPM2_RH_NULL);
    REQUIRE(key.signs(*lab.device));
    lab.swtpm.stop();
    lab.swtpm.start();
    for (int i = 0; i < 2; ++i)
        CHECK(refusal([&] { key.signs(*lab.device); }) == Errc::foreign_key);
    CHECK(lab.swtpm.loaded_handles() == 0);
    const Key next(*lab.device, TPM2_RH_NULL);
    CHECK(next.signs(*lab.device));
    CHECK(next.area() != key.area());
    CHECK(lab.close() == 0);
}

SCENARIO("hierarchy keys and keys of files share the slots") {
    Lab lab(Srk::absent);
    const auto file = new_key(*lab.device, nullptr);
    const auto guarded = new_key(*lab.device, pin("1234"));
    const std::array keys{Key(*lab.device), Key(*lab.device, TPM2_RH_ENDORSEMENT, rsa_2048),
                          Key(*lab.device, TPM2_RH_OWNER)};
    for (int round = 0; round < 2; ++round) {
        for (const auto& key : keys)
            REQUIRE(key.signs(*lab.device));
        REQUIRE(signs(*lab.device, file));
        REQUIRE(signs(*lab.device, guarded, pin("1234")));
    }
    CHECK(lab.swtpm.loaded_handles() <= tpm::LoadedKeys::capacity + 1); // and a session
    CHECK(lab.close() == 0);
}

SCENARIO("a hierarchy's password is asked for where it can be given") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    const auto before = Key(*lab.device, TPM2_RH_OWNER).area();
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, "owned");
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_ENDORSEMENT, "endorsed");
    CHECK_THAT(complaint([&] { Key(*lab.device, TPM2_RH_OWNER); }),
               contains("the owner hierarchy has a password"));
    lab.device->use_owner_password(pin("wrong"));
    CHECK_THAT(complaint([&] { Key(*lab.device, TPM2_RH_OWNER); }), contains("the owner password is wrong"));
    lab.device->use_owner_password(pin("owned"));
    const Key key(*lab.device, TPM2_RH_OWNER);
    CHECK(key.area() == before);
    CHECK(key.signs(*lab.device));
    CHECK_THAT(complaint([&] { Key(*lab.device, TPM2_RH_ENDORSEMENT); }),
               contains("the endorsement hierarchy has a password"));
    CHECK(lab.close() == 0);
}

SCENARIO("a hierarchy that is disabled is called so") {
    Lab lab(Srk::absent);
    const Key key(*lab.device, TPM2_RH_PLATFORM);
    REQUIRE(Esys_HierarchyControl(lab.unseen.esys(), ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                  ESYS_TR_NONE, TPM2_RH_PLATFORM, TPM2_NO) == TSS2_RC_SUCCESS);
    const auto words = contains("the platform hierarchy is disabled");
    CHECK_THAT(complaint([&] { Key(*lab.device, TPM2_RH_PLATFORM); }), words);
    CHECK_THAT(complaint([&] { key.signs(*lab.device); }), words);
    CHECK(lab.close() == 0);
}
