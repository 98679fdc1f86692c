// SPDX-License-Identifier: MIT
#pragma once
// What a TPM attests, and its signature, from and to bytes: TPM 2.0 Part 2, 10.12.12 and 11.3.4.
// tss2-mu 3.2.1 accepts unknown numbers, so these functions check them.

#include "base/bytes.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// Parses a whole TPMS_ATTEST of TPM2_Certify or TPM2_Quote, which has no size in front.
/// @throws Error(malformed) for a wrong magic number, Names that are not by SHA-256, SHA-384 or SHA-512, an
///     unknown hash, a digest of no hash's size, and bytes that marshal_attest would write otherwise;
///     Error(unsupported) for other types
TPMS_ATTEST unmarshal_attest(ByteView bytes);
Bytes marshal_attest(const TPMS_ATTEST& attest);

/// Parses a whole TPMT_SIGNATURE, ECDSA or RSASSA. Other bytes can be a signature of the same data by the
/// same key.
/// @throws Error(malformed) for an unknown hash, an empty number, and bytes that marshal_signature would
/// write
///     otherwise; Error(unsupported) for other schemes
TPMT_SIGNATURE unmarshal_signature(ByteView bytes);
Bytes marshal_signature(const TPMT_SIGNATURE& signature);

} // namespace sshtpm::keyfile
