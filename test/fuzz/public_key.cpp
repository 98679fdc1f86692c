// Key blobs: what parses is written back the same, and OpenSSL takes it too.

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "ssh/signature.hpp"

#include <cstdlib>

using namespace sshtpm;

FUZZ_TARGET(public_key) {
    const ByteView blob(data, size);
    std::optional<ssh::PublicKey> key;
    try {
        key = ssh::PublicKey::from_blob(blob);
    } catch (const Error&) {
        return;
    }
    if (!equal(key->blob(), blob))
        std::abort();
    const ssh::Verifier verifier(*key); // may not throw for a key that parsed
    if (verifier.verify(ssh::info(key->type()).hash, blob, ssh::RsaSignature{copy_of(blob)}))
        std::abort();
}
