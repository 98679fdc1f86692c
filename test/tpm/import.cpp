// SPDX-License-Identifier: MIT
// Keys that another TPM has wrapped (TPM2_Duplicate) on their way into one. Those that are wrapped in
// software are in test/scenario/keygen_import.py.

#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/context.hpp"
#include "tpm/create.hpp"
#include "tpm/rc.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/templates.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view key_pin = "the PIN of a wrapped key";

tpm::Handle policy_session(const tpm::Context& context, TPM2_SE type) {
    const TPMT_SYM_DEF no_symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    ESYS_TR session = ESYS_TR_NONE;
    tpm::check("Esys_StartAuthSession",
               Esys_StartAuthSession(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     ESYS_TR_NONE, nullptr, type, &no_symmetric, TPM2_ALG_SHA256, &session));
    auto handle = tpm::Handle::transient(context, session);
    tpm::check("Esys_PolicyCommandCode",
               Esys_PolicyCommandCode(context.esys(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      TPM2_CC_Duplicate));
    return handle;
}

/// Of "TPM2_Duplicate is allowed", which TPM2_Duplicate demands.
TPM2B_DIGEST duplication_policy(const tpm::Context& context) {
    const auto trial = policy_session(context, TPM2_SE_TRIAL);
    TPM2B_DIGEST* digest = nullptr;
    tpm::check("Esys_PolicyGetDigest", Esys_PolicyGetDigest(context.esys(), trial.tr(), ESYS_TR_NONE,
                                                            ESYS_TR_NONE, ESYS_TR_NONE, &digest));
    const tpm::EsysOutput<TPM2B_DIGEST> owner(digest);
    return *owner;
}

TPM2B_PUBLIC movable_key(const tpm::Context& context, TPMI_ALG_PUBLIC type) {
    auto out = tpm::signing_key({type, TPM2_ECC_NIST_P256, 2048}, tpm::DictionaryAttack::guarded);
    out.publicArea.objectAttributes &= ~(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT);
    out.publicArea.authPolicy = duplication_policy(context);
    return out;
}

/// A key made in one TPM, wrapped for the parent with this public area.
keyfile::KeyFile wrapped(const tpm::Context& context, const TPMT_PUBLIC& parent,
                         TPMI_ALG_PUBLIC type = TPM2_ALG_ECC) {
    auto key = create_under(context, tpm::ecc_storage_key(), movable_key(context, type), key_pin);
    tpm::KnownTpms known;
    const tpm::Auth no_password;
    tpm::StorageKeys parents(context, known, no_password);
    auto old_parent = parents.open(key);
    const auto object = tpm::load_key(context, parents, old_parent, key);
    old_parent.loaded = {};
    const TPM2B_PUBLIC area{.size = 0, .publicArea = parent};
    ESYS_TR new_parent_tr = ESYS_TR_NONE;
    tpm::check("Esys_LoadExternal",
               Esys_LoadExternal(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &area,
                                 ESYS_TR_RH_NULL, &new_parent_tr));
    const auto new_parent = tpm::Handle::transient(context, new_parent_tr);
    const auto session = policy_session(context, TPM2_SE_POLICY);
    const TPMT_SYM_DEF_OBJECT no_inner_wrapper{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    TPM2B_DATA* inner_key = nullptr;
    TPM2B_PRIVATE* duplicate = nullptr;
    TPM2B_ENCRYPTED_SECRET* seed = nullptr;
    tpm::check("Esys_Duplicate",
               Esys_Duplicate(context.esys(), object.tr(), new_parent.tr(), session.tr(), ESYS_TR_NONE,
                              ESYS_TR_NONE, nullptr, &no_inner_wrapper, &inner_key, &duplicate, &seed));
    const tpm::EsysOutput<TPM2B_DATA> inner_owner(inner_key);
    const tpm::EsysOutput<TPM2B_PRIVATE> duplicate_owner(duplicate);
    const tpm::EsysOutput<TPM2B_ENCRYPTED_SECRET> seed_owner(seed);
    key.kind = keyfile::KeyKind::importable;
    key.description = "moved";
    key.private_area = *duplicate_owner;
    key.secret = {static_cast<std::uint8_t>(seed_owner->size >> 8U),
                  static_cast<std::uint8_t>(seed_owner->size)};
    append(key.secret, {seed_owner->secret, seed_owner->size});
    return key;
}

} // namespace

SCENARIO("a key wrapped for this TPM's parent is imported and signs") {
    struct Case {
        Srk srk;
        TPMI_ALG_PUBLIC type;
        TPM2_HANDLE parent;
    };
    const auto [srk, type, parent] = GENERATE(Case{Srk::absent, TPM2_ALG_ECC, TPM2_RH_OWNER},
                                              Case{Srk::persistent, TPM2_ALG_ECC, TPM2_RH_OWNER},
                                              Case{Srk::absent, TPM2_ALG_ECC, TPM2_RH_ENDORSEMENT},
                                              Case{Srk::persistent, TPM2_ALG_RSA, TPM2_RH_OWNER});
    Lab there(Srk::absent), here(srk);
    auto importable = wrapped(there.unseen, tpm::storage_key_area(*here.device, parent), type);
    importable.parent = parent;
    // As it travels: in its file.
    importable = keyfile::parse_key_file(keyfile::to_key_file(importable));
    const auto key = tpm::import_key(*here.device, importable);
    CHECK(key.kind == keyfile::KeyKind::loadable);
    CHECK(key.secret.empty());
    CHECK(key.parent == parent);
    CHECK(key.description == "moved");
    const auto again = keyfile::parse_key_file(keyfile::to_key_file(key));
    CHECK(signs(*here.device, again, pin(key_pin)));
    CHECK_FALSE(signs(*here.device, again, pin("wrong")));
    CHECK(here.close() == 0);
    CHECK(there.close() == 0);
}

SCENARIO(
    "an import makes the standard storage key, though a persistent copy is there, and costs three commands") {
    Lab there(Srk::absent), here(Srk::persistent);
    const auto importable = wrapped(there.unseen, tpm::storage_key_area(*here.device, TPM2_RH_OWNER));
    here.log.clear();
    tpm::import_key(*here.device, importable);
    CHECK(here.log.commands() == Names{"TPM2_CreatePrimary", "TPM2_StartAuthSession", "TPM2_GetRandom",
                                       "TPM2_Import", "TPM2_FlushContext", "TPM2_FlushContext"});
    CHECK(here.close() == 0);
}

SCENARIO("a key wrapped for another parent is refused as such") {
    Lab there(Srk::absent), here(GENERATE(Srk::absent, Srk::persistent));
    const auto refused = [&](const keyfile::KeyFile& key) {
        return refusal([&] { tpm::import_key(*here.device, key); });
    };
    INFO("another TPM's ECC storage key, and where the file names the RSA one");
    auto for_ecc = wrapped(there.unseen, tpm::storage_key_area(*there.device, TPM2_RH_OWNER));
    CHECK(refused(for_ecc) == Errc::foreign_key);
    for_ecc.rsa_parent = true;
    CHECK(refused(for_ecc) == Errc::foreign_key);

    INFO("another TPM's RSA storage key, and where the file names the ECC one");
    make_persistent(there.unseen, tpm::rsa_storage_key(), 0x81000002);
    auto for_rsa = wrapped(there.unseen, tpm::storage_key_area(*there.device, 0x81000002));
    CHECK(refused(for_rsa) == Errc::foreign_key);
    for_rsa.rsa_parent = true;
    CHECK(refused(for_rsa) == Errc::foreign_key);

    INFO("another hierarchy's storage key of this TPM");
    auto for_endorsement = wrapped(there.unseen, tpm::storage_key_area(*here.device, TPM2_RH_ENDORSEMENT));
    CHECK(refused(for_endorsement) == Errc::foreign_key);
    for_endorsement.parent = TPM2_RH_ENDORSEMENT;
    CHECK_FALSE(refused(for_endorsement));

    INFO("a TPM of the past");
    CHECK(refused(keyfile::parse_key_file(data_text("keyfile/go-ec-p256-importable.tpm"))) ==
          Errc::foreign_key);
    CHECK(signs(*here.device, new_key(*here.device, nullptr))); // the TPM works on
    CHECK(here.close() == 0);
}

SCENARIO("what is not wrapped, or broken, is not imported") {
    Lab lab(Srk::persistent);
    const auto key = new_key(*lab.device, nullptr);
    CHECK(refusal([&] { tpm::import_key(*lab.device, key); }) == Errc::unsupported);
    auto importable = wrapped(lab.unseen, tpm::storage_key_area(*lab.device, TPM2_RH_OWNER));
    REQUIRE_NOTHROW(tpm::import_key(*lab.device, importable));
    importable.private_area.buffer[40] ^= 1U;
    CHECK(refusal([&] { tpm::import_key(*lab.device, importable); }) == Errc::foreign_key);
    importable.private_area.buffer[40] ^= 1U;
    importable.public_area.unique.ecc.x.buffer[0] ^= 1U;
    CHECK(refusal([&] { tpm::import_key(*lab.device, importable); }).has_value());
    importable.secret = Bytes(2);
    CHECK(refusal([&] { tpm::import_key(*lab.device, importable); }) == Errc::malformed);
    CHECK(lab.close() == 0);
}
