#pragma once
// The key derivations of the TPM, with SHA-256.

#include "base/secret.hpp"

#include <string_view>

namespace sshtpm::keyfile {

/// KDFa of TPM 2.0 Part 1, 11.4.10.2: the counter mode of NIST SP 800-108 with HMAC. The number
/// of bits is hashed too: 128 bits are not the first half of 256.
/// @param label without the zero byte that ends it in the specification.
/// @param context contextU and contextV, one behind the other.
/// @param bytes of the derived key, 32 at most.
Secret kdfa(ByteView key, std::string_view label, ByteView context, std::size_t bytes);

/// KDFe of TPM 2.0 Part 1, 11.4.10.3: the one-step derivation of NIST SP 800-56A with a hash.
/// @param party_u, party_v x coordinates in the curve's width.
/// @returns 256 bits.
Secret kdfe(ByteView z, std::string_view label, ByteView party_u, ByteView party_v);

} // namespace sshtpm::keyfile
