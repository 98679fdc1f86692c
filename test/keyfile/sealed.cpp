// SPDX-License-Identifier: MIT
// Outside keys go into a TPM and sign there: each type and PIN, and numbers that begin with zero bytes, since
// chips that want fixed widths refuse one key in 128 when leading zero bytes are lost. `test/check all` tries
// hundreds.

#include "identity/seal.hpp"
#include "identity/sign.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"
#include "tpm/tpm.hpp"

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

using namespace sshtpm;

namespace {

struct SealLab {
    support::Swtpm swtpm;
    tpm::Tpm device{{.tcti = swtpm.tcti(), .emulator_state = {}}};
    TPMT_PUBLIC storage_key = (device.ensure_open(), tpm::storage_key_area(device, TPM2_RH_OWNER));

    bool signs(const ssh::PrivateKey& key, std::string_view pin) {
        const auto auth =
            pin.empty() ? nullptr : std::make_shared<const Secret>(Secret::copy_of(bytes_of(pin)));
        const auto sealed = identity::unwrap(
            device, identity::wrap_for(storage_key, key, auth, TPM2_RH_OWNER, "", tpm::RsaUse::sign), auth,
            "");
        const auto hash = ssh::info(key.public_key.type()).hash;
        const auto digest = ssh::digest(hash, bytes_of("a message"));
        const auto result = identity::sign(device, sealed, auth, hash, digest);
        const auto* signature = std::get_if<ssh::RawSignature>(&result);
        return signature != nullptr && ssh::Verifier(key.public_key).verify(hash, digest, *signature);
    }
};

ssh::PrivateKey opened(ByteView file) {
    return std::get<ssh::PrivateKey>(ssh::open_private_key(Secret::copy_of(file), nullptr));
}

/// A new key from OpenSSL, by way of its PEM.
ssh::PrivateKey new_key(const char* curve) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen(curve), EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> pem(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    char* text = nullptr;
    const auto length = static_cast<std::size_t>(BIO_get_mem_data(pem.get(), &text));
    return opened(bytes_of({text, length}));
}

using Wish = std::function<bool(const ssh::PrivateKey&)>;

bool has_short_scalar(const ssh::PrivateKey& key) {
    return key.sensitive.view().front() == 0;
}
bool has_short_x(const ssh::PrivateKey& key) {
    return std::get<ssh::EcdsaPoint>(key.public_key.numbers()).x.front() == 0;
}
bool has_short_y(const ssh::PrivateKey& key) {
    return std::get<ssh::EcdsaPoint>(key.public_key.numbers()).y.front() == 0;
}
bool has_anything(const ssh::PrivateKey&) {
    return true;
}

/// How many of `count` keys sign.
int signing(SealLab& lab, const char* curve, int count, const Wish& wish) {
    int good = 0;
    for (int i = 0; i < count; ++i) {
        auto key = new_key(curve);
        while (!wish(key))
            key = new_key(curve);
        good += lab.signs(key, i % 2 == 0 ? "" : "1234") ? 1 : 0;
    }
    return good;
}

} // namespace

SCENARIO("a key signs in the TPM that it was sealed in, with every PIN, short numbers and all") {
    SealLab lab;
    for (const auto* const name : {"ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"})
        for (const auto* const pin : {"", "1", "1234", "exactly thirty-two bytes of PIN."}) {
            INFO(name << ", PIN \"" << pin << '"');
            CHECK(
                lab.signs(opened(support::data_file("ssh/private/" + std::string(name) + ".openssh")), pin));
        }
    for (const auto* const bits : {"256", "384", "521"})
        for (const auto* const what : {"scalar", "x", "y"}) {
            const auto name = std::string("short-") + what + '-' + bits + ".openssh";
            INFO(name);
            CHECK(lab.signs(opened(support::data_file("ssh/private/" + name)), "1234"));
        }
    lab.device.keys().flush();
    CHECK(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("new keys sign once they are sealed, those with short numbers too") {
    SealLab lab;
    const char* const variable = std::getenv("SSH_TPM_TEST_ALL"); // set by `test/check all`
    const bool all = variable != nullptr && *variable != '\0';
    const int few = all ? 10 : 2, many = all ? 300 : 30;
    CHECK(signing(lab, "P-256", few, has_short_scalar) == few);
    CHECK(signing(lab, "P-256", few, has_short_x) == few);
    CHECK(signing(lab, "P-256", few, has_short_y) == few);
    CHECK(signing(lab, "P-521", few, has_short_scalar) == few);
    CHECK(signing(lab, "P-521", few, has_short_x) == few);
    CHECK(signing(lab, "P-384", few, has_anything) == few);
    CHECK(signing(lab, "P-256", many, has_anything) == many);
}
