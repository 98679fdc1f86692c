// The parents that keys hang under: hierarchies, persistent keys, an owner hierarchy with a password.

#include "bus.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/capability.hpp"
#include "tpm/import.hpp"
#include "tpm/primary.hpp"
#include "tpm/templates.hpp"

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view owner_password = "the owner's password";
constexpr TPM2_HANDLE own_handle = 0x81000002;

} // namespace

SCENARIO("a key is made in each hierarchy and signs there") {
    struct Case {
        TPM2_HANDLE parent;
        Srk srk;
    };
    const auto [parent, srk] =
        GENERATE(Case{TPM2_RH_OWNER, Srk::absent}, Case{TPM2_RH_OWNER, Srk::persistent},
                 Case{TPM2_RH_ENDORSEMENT, Srk::persistent}, Case{TPM2_RH_PLATFORM, Srk::absent},
                 Case{TPM2_RH_NULL, Srk::absent});
    Lab lab(srk);
    for (const auto* text : {"", "a PIN to look for"}) {
        const auto key = tpm::create_key(*lab.device, {}, pin(text), parent);
        CHECK(key.parent == parent);
        CHECK(signs(*lab.device, key, pin(text)));
        lab.reopen();
        CHECK(signs(*lab.device, key, pin(text)));
        auto moved = key;
        moved.parent = parent == TPM2_RH_OWNER ? TPM2_RH_PLATFORM : TPM2_RH_OWNER;
        CHECK(refusal([&] { signs(*lab.device, moved, pin(text)); }) == Errc::foreign_key);
    }
    CHECK(never_on_bus(lab.log, "a PIN to look for"));
    CHECK(sessions_are_safe(lab.log));
    CHECK(lab.close() == 0);
}

SCENARIO("a key of the null hierarchy ends with the TPM's reset") {
    Lab lab(Srk::absent);
    const auto key = tpm::create_key(*lab.device, {}, nullptr, TPM2_RH_NULL);
    REQUIRE(signs(*lab.device, key));
    lab.device.reset();
    lab.swtpm.stop();
    lab.swtpm.start();
    lab.reopen();
    CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::foreign_key);
    CHECK(lab.close() == 0);
}

SCENARIO("a persistent storage key is a parent") {
    Lab lab(Srk::absent);
    const bool rsa = GENERATE(false, true);
    make_persistent(lab.unseen, rsa ? tpm::rsa_storage_key() : tpm::ecc_storage_key(), own_handle);
    const auto key = tpm::create_key(*lab.device, {}, pin("1234"), own_handle);
    CHECK(key.parent == own_handle);
    CHECK(signs(*lab.device, key, pin("1234")));
    CHECK(sessions_are_safe(lab.log));
    CHECK(lab.log.count("TPM2_CreatePrimary") == 0);
    CHECK(lab.close() == 0);
}

SCENARIO("a key that names the persistent storage key by its handle costs no look-up") {
    Lab lab(Srk::persistent);
    const auto key = tpm::create_key(*lab.device, {}, nullptr, tpm::srk_handle);
    CHECK(key.parent == tpm::srk_handle);
    lab.reopen();
    lab.log.clear();
    CHECK(signs(*lab.device, key));
    CHECK(lab.log.commands() == Names{"TPM2_Load", "TPM2_Sign"});
    CHECK(lab.close() == 0);
}

SCENARIO("what is no storage key, or not there, is refused as a parent before anything is made") {
    Lab lab(Srk::absent);
    const auto create = [&] { tpm::create_key(*lab.device, {}, pin("1234"), own_handle); };
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
    auto key = tpm::create_key(*lab.device, {}, nullptr);
    key.parent = own_handle;
    CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::unsupported);
    CHECK(lab.log.count("TPM2_Load") == 0);

    const auto nowhere = [&] { tpm::create_key(*lab.device, {}, nullptr, 0x80000000); };
    CHECK(refusal(nowhere) == Errc::unsupported);
    CHECK(lab.close() == 0);
}

SCENARIO("with the owner password keys are made and used, and it is never on the bus") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    lab.reopen().keys().parents().use_owner_password(pin(owner_password));
    const auto key = tpm::create_key(*lab.device, {}, pin("1234"));
    CHECK(signs(*lab.device, key, pin("1234")));
    CHECK(tpm::storage_key_area(*lab.device, TPM2_RH_OWNER).type == TPM2_ALG_ECC);
    CHECK(lab.log.count("TPM2_CreatePrimary") > 0);
    CHECK(lab.log.count("TPM2_EvictControl") == 0);
    CHECK(never_on_bus(lab.log, owner_password));
    CHECK(sessions_are_safe(lab.log));

    // The session's hash of it was in use, not an empty password: the next one has to give it again.
    lab.reopen().keys().parents().use_owner_password(pin(owner_password));
    CHECK(signs(*lab.device, key, pin("1234")));
    CHECK(lab.close() == 0);
}

SCENARIO("a wrong owner password, and one that is missing, are errors that say so") {
    Lab lab(Srk::absent);
    const auto key = tpm::create_key(*lab.device, {}, nullptr);
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    lab.log.clear();
    const auto create = [&] { tpm::create_key(*lab.device, {}, nullptr); };
    const auto sign = [&] { signs(*lab.device, key); };
    CHECK_THAT(complaint(create), contains("the owner hierarchy has a password"));
    CHECK_THAT(thrown(create).hint(), contains("-o"));
    CHECK(refusal(create) == Errc::auth);
    CHECK(refusal(sign) == Errc::auth);

    lab.device->keys().parents().use_owner_password(pin("a wrong password"));
    CHECK_THAT(complaint(create), contains("the owner password is wrong"));
    CHECK_THAT(thrown(create).hint(), contains("-o"));
    CHECK(refusal(create) == Errc::auth);
    CHECK(never_on_bus(lab.log, "a wrong password"));
    CHECK(sessions_are_safe(lab.log));
    CHECK(tpm::read_lockout(lab.unseen).failures == 0);
    CHECK(lab.close() == 0);
}

SCENARIO("an owner password that the TPM does not have is a wrong one") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    lab.device->keys().parents().use_owner_password(pin(owner_password));
    CHECK_THAT(complaint([&] { tpm::create_key(*lab.device, {}, nullptr); }),
               contains("the owner password is wrong"));
    CHECK(lab.close() == 0);
}

SCENARIO("the persistent storage key serves where the owner password is missing") {
    Lab lab(Srk::persistent);
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
    const auto key = tpm::create_key(*lab.device, {}, nullptr);
    CHECK(key.parent == tpm::srk_handle); // nothing shows that it is the owner's
    CHECK(signs(*lab.device, key));
    GIVEN("its Name") {
        set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, "");
        tpm::KnownTpms known;
        lab.device->keys().parents().use_known_tpms(known);
        CHECK(tpm::create_key(*lab.device, {}, nullptr).parent == TPM2_RH_OWNER); // which makes it known
        set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
        CHECK(tpm::create_key(*lab.device, {}, nullptr).parent == TPM2_RH_OWNER);
        lab.reopen();
    }
    GIVEN("a key of another TPM") {
        Lab there(Srk::persistent);
        const auto foreign = tpm::create_key(*there.device, {}, nullptr);
        CHECK(refusal([&] { signs(*lab.device, foreign); }) == Errc::foreign_key);
        CHECK(there.close() == 0);
    }
    CHECK(lab.close() == 0);
}

SCENARIO("a password of another hierarchy is named by its hierarchy") {
    Lab lab(Srk::absent);
    const auto key = tpm::create_key(*lab.device, {}, nullptr, TPM2_RH_ENDORSEMENT);
    lab.reopen();
    set_hierarchy_password(lab.unseen, ESYS_TR_RH_ENDORSEMENT, "endorsed");
    lab.device->keys().parents().use_owner_password(pin(owner_password));
    CHECK_THAT(complaint([&] { signs(*lab.device, key); }),
               contains("the endorsement hierarchy has a password"));
    CHECK(never_on_bus(lab.log, owner_password));
    CHECK(lab.close() == 0);
}

SCENARIO("a parent with a password of its own is refused by that name") {
    Lab lab(Srk::absent);
    const auto primary = [&] {
        TPM2B_SENSITIVE_CREATE sensitive{};
        sensitive.sensitive.userAuth = {.size = 3, .buffer = {'k', 'e', 'y'}};
        const auto area = tpm::ecc_storage_key();
        const TPM2B_DATA no_outside_info{};
        const TPML_PCR_SELECTION no_pcrs{};
        ESYS_TR tr = ESYS_TR_NONE;
        REQUIRE(Esys_CreatePrimary(lab.unseen.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &sensitive, &area, &no_outside_info, &no_pcrs, &tr, nullptr,
                                   nullptr, nullptr, nullptr) == TSS2_RC_SUCCESS);
        return tpm::Handle::transient(lab.unseen, tr);
    };
    {
        const auto made = primary();
        ESYS_TR tr = ESYS_TR_NONE;
        REQUIRE(Esys_EvictControl(lab.unseen.esys(), ESYS_TR_RH_OWNER, made.tr(), ESYS_TR_PASSWORD,
                                  ESYS_TR_NONE, ESYS_TR_NONE, own_handle, &tr) == TSS2_RC_SUCCESS);
        const auto persistent = tpm::Handle::persistent(lab.unseen, tr);
    }
    for (const auto* text : {"", "1234"})
        CHECK_THAT(complaint([&] { tpm::create_key(*lab.device, {}, pin(text), own_handle); }),
                   contains("parent has a password"));
    auto key = tpm::create_key(*lab.device, {}, nullptr);
    key.parent = own_handle;
    CHECK_THAT(complaint([&] { signs(*lab.device, key); }), contains("parent has a password"));
    CHECK(lab.close() == 0);
}

SCENARIO("an unsalted session and a password in the clear would be seen") { // that the tests above can fail
    Lab lab(Srk::persistent);
    const auto key = tpm::create_key(*lab.device, {}, pin("1234"));
    REQUIRE(sessions_are_safe(lab.log));
    lab.log.clear();
    const tpm::Context context(lab.log.tcti());
    SECTION("an unsalted session") {
        const auto session = tpm::start_hmac_session(context, ESYS_TR_NONE);
        CHECK_FALSE(sessions_are_safe(lab.log));
    }
    SECTION("a hierarchy's password in the clear") {
        set_hierarchy_password(lab.unseen, ESYS_TR_RH_OWNER, owner_password);
        const tpm::AuthInUse in_use(context, ESYS_TR_RH_OWNER, pin(owner_password));
        CHECK(tpm::try_create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, tpm::ecc_storage_key()));
        CHECK_FALSE(sessions_are_safe(lab.log));
        CHECK_FALSE(never_on_bus(lab.log, owner_password));
    }
    CHECK(lab.close() == 0);
}
