// SPDX-License-Identifier: MIT
// A private key that is not encrypted: whatever is taken has a public half that parses again, and a sensitive
// part of the width that a TPM takes.

#include "ssh/private_key.hpp"

#include "fuzz/target.hpp"

using namespace sshtpm;

namespace {

void check_private_key(const ssh::PrivateKey& key) {
    require(ssh::PublicKey::from_blob(key.public_key.blob()) == key.public_key);
    const auto& type = ssh::info(key.public_key.type());
    require(key.sensitive.size() ==
            (type.type == ssh::KeyType::rsa ? key.public_key.bits() / 16 : type.coordinate_size));
}

} // namespace

FUZZ_TARGET(private_key) {
    if (size > std::size_t{8} * 1024) // a key of RSA 4096 is smaller
        return;
    attempt([&] {
        const auto opened = ssh::open_private_key(Secret::copy_of({data, size}), nullptr);
        if (const auto* key = std::get_if<ssh::PrivateKey>(&opened))
            check_private_key(*key);
    });
}
