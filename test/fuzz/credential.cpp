// SPDX-License-Identifier: MIT
// A credential file: what is taken is written as it was. Other input that is an endorsement key gets a
// credential, or is refused.

#include "keyfile/credential.hpp"

#include "fuzz/target.hpp"
#include "keyfile/marshal.hpp"

using namespace sshtpm;

FUZZ_TARGET(credential) {
    const ByteView input(data, size);
    if (const auto credential = taken(keyfile::parse_credential, input))
        require(equal(keyfile::to_file(*credential), input));
    const auto endorsement_key = taken(keyfile::unmarshal_public, input);
    if (!endorsement_key)
        return;
    Bytes name(34);
    name[1] = TPM2_ALG_SHA256;
    const auto secret = Secret::copy_of(Bytes(32, 1));
    const auto made = taken([&] { return keyfile::make_credential(*endorsement_key, name, secret); });
    if (made) {
        const auto file = keyfile::to_file(*made);
        require(keyfile::to_file(keyfile::parse_credential(file)) == file);
    }
}
