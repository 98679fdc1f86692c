// SPDX-License-Identifier: MIT
#pragma once
// A key and the TPM's statement about it, in the JSON documents of this module.

#include "base/bytes.hpp"
#include "ssh/public_key.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <boost/json.hpp>
#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::attest {

inline constexpr std::size_t max_keys = 32; ///< of a document

using Digest = std::array<std::uint8_t, 32>; ///< of SHA-256

Digest sha256(ByteView data);

/// A key that the TPM has certified (TPM2_Certify).
struct CertifiedKey {
    ssh::PublicKey ssh;       ///< "ssh": type and base64 of the blob, without a comment
    TPMT_PUBLIC area;         ///< "public": TPM2B_PUBLIC
    Bytes attest;             ///< "certInfo": TPMS_ATTEST
    TPMT_SIGNATURE signature; ///< "sig"
};

// Of JSON objects. @throws Error(malformed)
TPMT_PUBLIC public_member(const boost::json::object& object);                ///< "public"
std::vector<CertifiedKey> certified_keys(const boost::json::object& object); ///< "keys", at least one
boost::json::array to_json(const std::vector<CertifiedKey>& keys);

} // namespace sshtpm::attest
