#include "keyfile/wrap.hpp"

#include "base/error.hpp"
#include "imported.hpp"
#include "keyfile/marshal.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;
using keyfile::wrap;

namespace {

ssh::PrivateKey key_named(const std::string& name) {
    return std::get<ssh::PrivateKey>(
        ssh::open_private_key(Secret::copy_of(data_file("ssh/private/" + name)), nullptr));
}

/// TPM_RC of format 1 without the number of the parameter or handle.
TSS2_RC plain(TSS2_RC rc) {
    return rc & 0xBFU;
}

keyfile::KeyFile wrapped(const imported::Tpm& tpm, std::string_view pin) {
    const auto key = key_named("ecdsa-256.openssh");
    return wrap(tpm.storage_key(), imported::public_area(key.public_key), key.sensitive, bytes_of(pin));
}

} // namespace

SCENARIO("a wrapped key signs in the TPM that it was wrapped for") {
    const Swtpm swtpm;
    {
        imported::Tpm tpm(swtpm.tcti());
        for (const auto* const name : {"ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"})
            for (const auto* const pin : {"", "1", "1234", "exactly thirty-two bytes of PIN."}) {
                INFO(name << ", PIN \"" << pin << '"');
                CHECK(signs_after_import(tpm, key_named(std::string(name) + ".openssh"), pin));
            }
    }
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("short scalars and coordinates survive the wrapping") {
    const Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    for (const auto* const bits : {"256", "384", "521"})
        for (const auto* const what : {"scalar", "x", "y"}) {
            const auto name = std::string("short-") + what + '-' + bits + ".openssh";
            INFO(name);
            CHECK(signs_after_import(tpm, key_named(name), "1234"));
        }
}

SCENARIO("a wrapped key signs with its PIN alone") {
    const Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    const auto key = key_named("ecdsa-256.openssh");
    const Bytes digest(32, 0x5A);
    REQUIRE(tpm.load(wrapped(tpm, "1234")) == TSS2_RC_SUCCESS);
    CHECK_FALSE(tpm.sign(key.public_key, "1235", digest));
    CHECK_FALSE(tpm.sign(key.public_key, "", digest));
    CHECK(tpm.sign(key.public_key, "1234", digest));
}

SCENARIO("another TPM refuses a wrapped key") {
    const Swtpm ours, theirs;
    imported::Tpm tpm(ours.tcti());
    imported::Tpm other(theirs.tcti());
    CHECK(plain(tpm.load(wrapped(other, "1234"))) == TPM2_RC_INTEGRITY);
    CHECK(other.load(wrapped(other, "1234")) == TSS2_RC_SUCCESS);
}

SCENARIO("a wrapped key with one bit changed is refused") {
    const Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    const auto good = wrapped(tpm, "1234");
    for (const std::size_t at :
         {2U, 33U, 34U, 36U, 100U}) { // in the HMAC, in the encrypted area, and at its end
        INFO(at);
        auto bad = good;
        REQUIRE(at < bad.private_area.size);
        bad.private_area.buffer[at] ^= 1U;
        CHECK(plain(tpm.load(bad)) == TPM2_RC_INTEGRITY);
    }
    auto bad = good;
    bad.public_area.objectAttributes |= TPMA_OBJECT_NODA;
    CHECK(plain(tpm.load(bad)) == TPM2_RC_INTEGRITY);
    bad = good;
    bad.secret.back() ^= 1U;
    CHECK(tpm.load(bad) != TSS2_RC_SUCCESS);
    CHECK(tpm.load(good) == TSS2_RC_SUCCESS);
}

SCENARIO("a wrapped key is an importable key file, and never the same twice") {
    const Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    const auto a = wrapped(tpm, "1234"), b = wrapped(tpm, "1234"), without = wrapped(tpm, "");
    CHECK(a.kind == keyfile::KeyKind::importable);
    CHECK_FALSE(a.empty_auth);
    CHECK(without.empty_auth);
    CHECK(a.parent == TPM2_RH_OWNER);
    CHECK(a.secret != b.secret);
    CHECK(keyfile::marshal_private(a.private_area) != keyfile::marshal_private(b.private_area));
    // How long the PIN is cannot be seen.
    CHECK(a.private_area.size == without.private_area.size);
    CHECK(tpm.load(keyfile::parse_pem(keyfile::to_pem(a))) == TSS2_RC_SUCCESS);
}

SCENARIO("what does not fit is not wrapped") {
    const Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    const auto key = key_named("ecdsa-256.openssh");
    const auto area = imported::public_area(key.public_key);
    CHECK(refusal([&] { wrap(tpm.storage_key(), area, key.sensitive, Bytes(33, 'x')); }) == Errc::malformed);
    CHECK(refusal([&] { wrap(tpm.storage_key(), area, Secret::copy_of(Bytes(1000, 'x')), {}); }) ==
          Errc::malformed);
    auto off_curve = tpm.storage_key();
    off_curve.unique.ecc.y.buffer[31] ^= 1U;
    CHECK(refusal([&] { wrap(off_curve, area, key.sensitive, {}); }) == Errc::malformed);
    auto too_wide = tpm.storage_key();
    too_wide.unique.ecc.x.size = 33;
    too_wide.unique.ecc.x.buffer[0] = 1;
    CHECK(refusal([&] { wrap(too_wide, area, key.sensitive, {}); }) == Errc::malformed);
}
