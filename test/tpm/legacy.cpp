// Keys of ssh-tpm-agent 0.1 and 0.2: made in a private swtpm as those releases made them, put into their
// files, read and used.

#include "keyfile/legacy.hpp"

#include "bus.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/change_auth.hpp"
#include "tpm/templates.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view old_pin = "a PIN of long ago";

/// The public area that those releases asked for: a fixed scheme, and under dictionary-attack protection
/// whether there was a PIN or not.
TPM2B_PUBLIC old_template(TPMI_ALG_PUBLIC type) {
    auto out = tpm::signing_key({type, TPM2_ECC_NIST_P256, 2048}, tpm::DictionaryAttack::guarded);
    auto& parameters = out.publicArea.parameters;
    if (type == TPM2_ALG_ECC)
        parameters.eccDetail.scheme = {TPM2_ALG_ECDSA, {.ecdsa = {TPM2_ALG_SHA256}}};
    else
        parameters.rsaDetail.scheme = {TPM2_ALG_RSASSA, {.rsassa = {TPM2_ALG_SHA256}}};
    return out;
}

/// The text of a key file of that release.
std::string old_file(const tpm::Context& context, keyfile::Legacy release, TPMI_ALG_PUBLIC type,
                     std::string_view auth) {
    const auto storage_key =
        type == TPM2_ALG_ECC ? tpm::legacy_ecc_storage_key() : tpm::legacy_rsa_storage_key();
    auto key = create_under(context, storage_key, old_template(type), auth);
    key.legacy = release;
    if (release == keyfile::Legacy::release_0_2)
        key.description = "old@example";
    return keyfile::to_legacy_pem(key);
}

struct Case {
    keyfile::Legacy release;
    TPMI_ALG_PUBLIC type;
};

} // namespace

SCENARIO("keys of ssh-tpm-agent 0.1 and 0.2 sign under the parents of those releases") {
    const auto [release, type] = GENERATE(Case{keyfile::Legacy::release_0_1, TPM2_ALG_ECC},
                                          Case{keyfile::Legacy::release_0_2, TPM2_ALG_ECC},
                                          Case{keyfile::Legacy::release_0_2, TPM2_ALG_RSA});
    Lab lab(release == keyfile::Legacy::release_0_1 ? Srk::absent : Srk::persistent);
    const auto open = keyfile::parse_key_file(old_file(lab.unseen, release, type, ""));
    REQUIRE(open.empty_auth);
    lab.log.clear();
    CHECK(signs(*lab.device, open));
    const auto sent = lab.log.commands();
    REQUIRE_FALSE(sent.empty());
    CHECK(sent.front() == "TPM2_CreatePrimary"); // never the persistent key, which is another
    CHECK(sessions_are_safe(lab.log));

    const auto guarded = keyfile::parse_key_file(old_file(lab.unseen, release, type, old_pin));
    REQUIRE_FALSE(guarded.empty_auth);
    CHECK(signs(*lab.device, guarded, pin(old_pin)));
    CHECK_FALSE(signs(*lab.device, guarded, pin("another")));
    CHECK(never_on_bus(lab.log, old_pin));
    CHECK(sessions_are_safe(lab.log));
    CHECK(lab.close() == 0);
}

SCENARIO("the standard storage keys are not the parents of those releases' keys") {
    Lab lab(Srk::absent);
    for (const TPMI_ALG_PUBLIC type : {TPM2_ALG_ECC, TPM2_ALG_RSA}) {
        auto key = keyfile::parse_key_file(old_file(lab.unseen, keyfile::Legacy::release_0_2, type, ""));
        REQUIRE(signs(*lab.device, key));
        key.legacy = keyfile::Legacy::none;
        CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::foreign_key);
        key.rsa_parent = true;
        CHECK(refusal([&] { signs(*lab.device, key); }) == Errc::foreign_key);
    }
    CHECK(lab.close() == 0);
}

SCENARIO("a key of those releases gets a new PIN and keeps its format") {
    const auto [release, type] = GENERATE(Case{keyfile::Legacy::release_0_1, TPM2_ALG_ECC},
                                          Case{keyfile::Legacy::release_0_2, TPM2_ALG_RSA});
    Lab lab(Srk::persistent);
    const auto key = keyfile::parse_key_file(old_file(lab.unseen, release, type, old_pin));
    const auto changed = tpm::change_auth(*lab.device, key, pin(old_pin), pin("a new one"));
    REQUIRE(changed);
    CHECK(changed->legacy == release);
    const auto again = keyfile::parse_key_file(keyfile::to_key_file(*changed));
    CHECK(signs(*lab.device, again, pin("a new one")));
    CHECK_FALSE(signs(*lab.device, again, pin(old_pin)));
    CHECK(lab.close() == 0);
}
