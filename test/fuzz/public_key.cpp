// SPDX-License-Identifier: MIT
// Key blobs: what parses is written back the same, and OpenSSL takes it too.

#include "fuzz/target.hpp"
#include "ssh/signature.hpp"

using namespace sshtpm;

FUZZ_TARGET(public_key) {
    const ByteView blob(data, size);
    const auto key = taken(ssh::PublicKey::from_blob, blob);
    if (!key)
        return;
    require(equal(key->blob(), blob));
    const ssh::Verifier verifier(*key); // may not throw for a key that parsed
    require(!verifier.verify(ssh::info(key->type()).hash, blob, ssh::RsaSignature{copy_of(blob)}));
}
