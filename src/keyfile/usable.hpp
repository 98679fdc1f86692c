#pragma once
// Whether a key file, as it stands, holds a key that SSH can sign with.

#include "keyfile/key_file.hpp"

namespace sshtpm::keyfile {

/// Returns when TPM2_Sign with the key, authorised by its PIN alone, can make a signature of one of SSH's
/// algorithms: ecdsa-sha2-nistp256/384/521 (RFC 5656), rsa-sha2-256/512 (RFC 8332).
/// A key of the fixed scheme RSASSA can make only one of the last two.
/// @throws Error(unsupported) that says what stands against it; Error(malformed) where the public key
/// itself cannot be right. Asks no TPM: whether this one has the curve or size is another question.
void require_signing_key(const KeyFile& key);

} // namespace sshtpm::keyfile
