// SPDX-License-Identifier: MIT
// A private key as ssh-add sends it: whatever is taken has a public half that parses again, a sensitive part
// of the width that a TPM takes, and a certificate that is this key's.

#include "fuzz/target.hpp"
#include "ssh/private_key.hpp"
#include "wire/reader.hpp"

using namespace sshtpm;

namespace {

void check_pair(const ssh::KeyPair& pair) {
    const auto& key = pair.key;
    require(ssh::PublicKey::from_blob(key.public_key.blob()) == key.public_key);
    const auto& type = ssh::info(key.public_key.type());
    require(key.sensitive.size() ==
            (type.type == ssh::KeyType::rsa ? key.public_key.bits() / 16 : type.coordinate_size));
    require(!pair.certificate || pair.certificate->public_key == key.public_key);
}

} // namespace

FUZZ_TARGET(key_pair) {
    wire::Reader reader(ByteView(data, size));
    try {
        check_pair(ssh::read_key_pair(reader));
    } catch (const Error& error) {
        require(error.code() == Errc::malformed || error.code() == Errc::unsupported);
    }
}
