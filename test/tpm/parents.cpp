// SPDX-License-Identifier: MIT
// The parents that keys hang under: hierarchies, persistent keys, an owner hierarchy with a password.

#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"
#include "tpm/lockout.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/templates.hpp"

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view owner_password = "the owner's password";
constexpr TPM2_HANDLE own_handle = 0x81000002;

} // namespace

SCENARIO("a key of the null hierarchy ends with the TPM's reset") {
    Lab lab(Srk::absent);
    const auto key = new_key(*lab.device, nullptr, TPM2_RH_NULL);
    REQUIRE(signs(*lab.device, key));
    lab.device.reset();
    lab.swtpm.stop();
    lab.swtpm.start();
    lab.reopen();
    CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::foreign_key);
    CHECK(lab.close() == 0);
}

SCENARIO("a key that names the persistent storage key by its handle costs no look-up") {
    Lab lab(Srk::persistent);
    const auto key = new_key(*lab.device, nullptr, tpm::srk_handle);
    CHECK(key.parent == tpm::srk_handle);
    lab.reopen();
    lab.log.clear();
    CHECK(signs(*lab.device, key));
    CHECK(lab.log.commands() == Names{"TPM2_Load", "TPM2_Sign"});
    CHECK(lab.close() == 0);
}

SCENARIO("what is no storage key, or not there, is refused as a parent before anything is made") {
    Lab lab(Srk::absent);
    const auto create = [&] { new_key(*lab.device, pin("1234"), own_handle); };
    CHECK_THAT(complaint(create), contains("0x81000002, is not in this TPM"));
    CHECK(refusal(create) == Errc::not_found);

    auto decrypts = tpm::ecc_storage_key();
    decrypts.publicArea.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
    decrypts.publicArea.parameters.eccDetail.symmetric = {TPM2_ALG_NULL, {}, {}};
    const auto signs_only = tpm::signing_key({}, tpm::DictionaryAttack::exempt);
    make_persistent(lab.unseen, GENERATE_COPY(decrypts, signs_only), own_handle);
    CHECK_THAT(complaint(create), contains("0x81000002 cannot be a parent"));
    CHECK(refusal(create) == Errc::unsupported);
    const auto area = [&] { tpm::storage_key_area(*lab.device, own_handle); };
    CHECK(refusal(area) == Errc::unsupported);
    CHECK(lab.log.count("TPM2_Create") == 0);
    CHECK(lab.log.count("TPM2_StartAuthSession") == 0);
    auto key = new_key(*lab.device, nullptr);
    key.parent = own_handle;
    CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::unsupported);
    CHECK(lab.log.count("TPM2_Load") == 0);

    const auto nowhere = [&] { new_key(*lab.device, nullptr, 0x80000000); };
    CHECK(refusal(nowhere) == Errc::unsupported);
    CHECK(lab.close() == 0);
}

SCENARIO("an owner password that is wrong, or that the TPM does not have, is an error that says so") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    for (const std::string_view wrong : {owner_password, std::string_view("a wrong password")}) {
        lab.device->use_owner_password(pin(wrong));
        const auto error = thrown([&] { new_key(*lab.device, nullptr); });
        CHECK(error.code() == Errc::auth);
        CHECK_THAT(error.what(), contains("the owner password is wrong"));
        CHECK_THAT(error.hint(), contains("-o"));
        if (wrong == owner_password) // the TPM had none
            set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    }
    CHECK(tpm::read_lockout(lab.unseen).failures == 0);
    CHECK(lab.close() == 0);
}

SCENARIO("without the owner password no key is made or signs under the owner's own key") {
    Lab lab(Srk::absent);
    const auto key = new_key(*lab.device, nullptr);
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    const auto error = thrown([&] { new_key(*lab.device, nullptr); });
    CHECK(error.code() == Errc::auth);
    CHECK_THAT(error.what(), contains("the owner hierarchy has a password"));
    CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::auth);
    CHECK(lab.close() == 0);
}

SCENARIO("the persistent storage key serves where the owner password is missing") {
    Lab lab(Srk::persistent);
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    const auto key = new_key(*lab.device, nullptr);
    CHECK(key.parent == tpm::srk_handle); // nothing shows that it is the owner's
    CHECK(signs(*lab.device, key));
    Lab there(Srk::persistent);
    const auto foreign = new_key(*there.device, nullptr);
    CHECK(refusal([&] { signs(*lab.device, foreign); }) == Errc::foreign_key);
    CHECK(there.close() == 0);
    CHECK(lab.close() == 0);
}

SCENARIO("a password of another hierarchy is named by its hierarchy") {
    Lab lab(Srk::absent);
    const auto key = new_key(*lab.device, nullptr, TPM2_RH_ENDORSEMENT);
    lab.reopen();
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_ENDORSEMENT, "endorsed");
    lab.device->use_owner_password(pin(owner_password));
    CHECK_THAT(complaint([&] { signs(*lab.device, key); }),
               contains("the endorsement hierarchy has a password"));
    CHECK(lab.close() == 0);
}
