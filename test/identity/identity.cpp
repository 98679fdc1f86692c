// SPDX-License-Identifier: MIT
#include "identity/identity.hpp"

#include "ssh/fingerprint.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

SCENARIO("a key file of tpm2-openssl has the public key that openssl says") {
    const auto identity = identity::load_identity(data_path("keyfile/openssl-ec-p256.tpm"));
    CHECK(identity.public_key.type() == ssh::KeyType::ecdsa_p256);
    CHECK(identity.comment == data_path("keyfile/openssl-ec-p256.tpm").string());
    CHECK_FALSE(identity.needs_pin());
}

SCENARIO("messages name a key by its file, or by its comment and fingerprint") {
    auto identity = identity::load_identity(data_path("keyfile/openssl-ec-p256.tpm"));
    CHECK(identity.name() == data_path("keyfile/openssl-ec-p256.tpm").string());
    identity.file.clear();
    identity.comment = "me";
    CHECK(identity.name() == "key 'me' (" + ssh::fingerprint(identity.public_key.blob()) + ")");
}
