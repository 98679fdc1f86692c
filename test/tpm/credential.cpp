// SPDX-License-Identifier: MIT
// Credentials that were made in software, opened by a TPM.

#include "keyfile/credential.hpp"

#include "keyfile/marshal.hpp"
#include "keyfile/object_name.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/rc.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/templates.hpp"

#include <string>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view credential_text = "the secret of a credential, 32 B";

/// A template of the TCG's EK Credential Profile.
TPM2B_PUBLIC endorsement_template(const std::string& name) {
    auto area = keyfile::unmarshal_public(data_file("keyfile/credentials/" + name + ".pub"));
    const bool low = name.starts_with("l");
    if (area.type == TPM2_ALG_RSA) {
        area.unique.rsa = {};
        area.unique.rsa.size = low ? 256 : 0;
    } else {
        area.unique.ecc = {};
        area.unique.ecc.x.size = area.unique.ecc.y.size = low ? 32 : 0;
    }
    return {.size = 0, .publicArea = area};
}

tpm::Handle primary(const tpm::Context& context, const TPM2B_PUBLIC& key_template) {
    return tpm::try_create_primary(context, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, key_template);
}

/// A session that fulfils PolicySecret(endorsement), by which the keys of low templates are used.
tpm::Handle endorsement_session(const tpm::Context& context) {
    const TPMT_SYM_DEF no_symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    ESYS_TR session = ESYS_TR_NONE;
    tpm::check("Esys_StartAuthSession",
               Esys_StartAuthSession(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &no_symmetric, TPM2_ALG_SHA256,
                                     &session));
    auto handle = tpm::Handle::transient(context, session);
    tpm::check("Esys_PolicySecret",
               Esys_PolicySecret(context.esys(), ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD,
                                 ESYS_TR_NONE, ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr));
    return handle;
}

/// TPM2_ActivateCredential. @returns the secret
Bytes activate(const tpm::Context& context, const tpm::Handle& object, const tpm::Handle& endorsement_key,
               const keyfile::Credential& credential) {
    const auto area = tpm::read_public(context, endorsement_key.tr());
    tpm::Handle session;
    if ((area.objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0)
        session = endorsement_session(context);
    TPM2B_DIGEST* secret = nullptr;
    tpm::check("Esys_ActivateCredential",
               Esys_ActivateCredential(context.esys(), object.tr(), endorsement_key.tr(), ESYS_TR_PASSWORD,
                                       session ? session.tr() : ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       &credential.id_object, &credential.secret, &secret));
    const tpm::EsysOutput<TPM2B_DIGEST> owner(secret);
    return copy_of(tpm::view_of(*owner));
}

} // namespace

SCENARIO("a TPM opens a credential for its endorsement key and an object that it holds") {
    Lab lab(Srk::absent);
    const auto& context = lab.unseen;
    const std::string name = GENERATE("l1-rsa-2048", "l2-ecc-p256", "h3-ecc-p384", "h4-ecc-p521");
    CAPTURE(name);
    const auto secret = Secret::copy_of(bytes_of(credential_text));
    {
        const auto endorsement_key = primary(context, endorsement_template(name));
        const auto object = primary(context, tpm::hierarchy_key({}));
        const auto area = tpm::read_public(context, endorsement_key.tr());
        CHECK(keyfile::object_name(area) == tpm::name_of(context, endorsement_key.tr()));
        const auto object_name = keyfile::object_name(tpm::read_public(context, object.tr()));
        // Often enough that coordinates of P-521 begin with a zero byte.
        for (int i = 0; i < 20; ++i) {
            const auto credential = keyfile::make_credential(area, object_name, secret);
            REQUIRE(activate(context, object, endorsement_key, credential) ==
                    copy_of(bytes_of(credential_text)));
        }
        auto other_name = object_name;
        other_name.back() ^= 1U;
        const auto for_other = keyfile::make_credential(area, other_name, secret);
        const auto error = thrown([&] { activate(context, object, endorsement_key, for_other); });
        CHECK(error.tpm_rc() == TPM2_RC_INTEGRITY);
    }
    CHECK(lab.close() == 0);
}
