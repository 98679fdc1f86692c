#pragma once
// Whether SSH can sign with the key of a key file.

#include "keyfile/key_file.hpp"

namespace sshtpm::keyfile {

/// Returns when TPM2_Sign with the key, authorised by its PIN alone, can make a signature of one of SSH's
/// algorithms: ecdsa-sha2-nistp256/384/521 (RFC 5656), rsa-sha2-256/512 (RFC 8332; a key of the fixed scheme
/// RSASSA can make only one of these two). Needs no TPM: this machine's may lack the curve or size.
/// @throws Error(unsupported) with the reason; Error(malformed) for an invalid public key.
void require_signing_key(const KeyFile& key);

} // namespace sshtpm::keyfile
