// New software keys go into a TPM, numbers that begin with zero bytes among them, and all of them sign. Chips
// that want fixed widths refuse one in 128 when leading zero bytes are lost. SSH_TPM_TEST_KEYS=1000 tries so
// many of any width; the ones of test/data with short numbers are in wrap.cpp.

#include "imported.hpp"
#include "support/catch.hpp"
#include "support/swtpm.hpp"

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

/// A new key from OpenSSL, by way of its PEM.
ssh::PrivateKey new_key(const char* curve) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen(curve), EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> pem(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    char* text = nullptr;
    const auto length = static_cast<std::size_t>(BIO_get_mem_data(pem.get(), &text));
    return std::get<ssh::PrivateKey>(
        ssh::open_private_key(Secret::copy_of(bytes_of({text, length})), nullptr));
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
int signing(imported::Tpm& tpm, const char* curve, int count, const Wish& wish) {
    int good = 0;
    for (int i = 0; i < count; ++i) {
        auto key = new_key(curve);
        while (!wish(key))
            key = new_key(curve);
        good += signs_after_import(tpm, key, i % 2 == 0 ? "" : "1234") ? 1 : 0;
    }
    return good;
}

} // namespace

SCENARIO("new keys sign after their import, those with short numbers too") {
    const support::Swtpm swtpm;
    imported::Tpm tpm(swtpm.tcti());
    const char* const variable = std::getenv("SSH_TPM_TEST_ALL"); // set by `test/check all`
    const bool all = variable != nullptr && *variable != '\0';
    const int few = all ? 10 : 2, many = all ? 940 : 30;
    CHECK(signing(tpm, "P-256", few, has_short_scalar) == few);
    CHECK(signing(tpm, "P-256", few, has_short_x) == few);
    CHECK(signing(tpm, "P-256", few, has_short_y) == few);
    CHECK(signing(tpm, "P-521", few, has_short_scalar) == few);
    CHECK(signing(tpm, "P-521", few, has_short_x) == few);
    CHECK(signing(tpm, "P-384", few, has_anything) == few);
    CHECK(signing(tpm, "P-256", many, has_anything) == many);
}
