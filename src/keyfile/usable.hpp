// SPDX-License-Identifier: MIT
#pragma once
// Checks whether SSH can sign with the key of a key file.

#include "keyfile/key_file.hpp"

#include <optional>

namespace sshtpm::keyfile {

/// Checks that TPM2_Sign, or TPM2_RSA_Decrypt without a scheme, with the key and its PIN can make signatures
/// of ecdsa-sha2-nistp256, -384 or -521 (RFC 5656), or of rsa-sha2-256 or -512 (RFC 8332). Does not check
/// whether this machine's TPM supports the curve, the hash or the size.
/// @throws Error(unsupported) with the reason; Error(malformed) for an invalid public key
void require_signing_key(const KeyFile& key);

/// The hash of signatures with this curve (RFC 5656 section 6.2.1).
/// @throws Error(unsupported) for a curve that SSH does not have
TPMI_ALG_HASH signature_hash(TPM2_ECC_CURVE curve);

/// The hash with which alone the key signs, because its scheme is fixed; nothing for a key without a scheme.
std::optional<TPMI_ALG_HASH> fixed_hash(const TPMT_PUBLIC& area) noexcept;

} // namespace sshtpm::keyfile
