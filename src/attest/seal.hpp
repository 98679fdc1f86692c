// SPDX-License-Identifier: MIT
#pragma once
// Seals certificates to the TPM that has made a request, and opens them there.

#include "attest/document.hpp"
#include "base/secret.hpp"

#include <string>
#include <string_view>

namespace sshtpm::attest {

struct SealedAnswer {
    Sealed document;
    std::string receipt; ///< that `open` will give, for the CA to compare
};

/// The answer to a request that was verified. A fresh secret goes into a credential for the endorsement key
/// and the Name of the attestation key (TPM2_MakeCredential); a key derived from it (HKDF, RFC 5869) encrypts
/// the certificates (XChaCha20-Poly1305).
/// @param request_text the document's bytes
/// @param certificates lines as in .pub files
SealedAnswer seal(const Request& request, std::string_view request_text, std::string_view certificates);

struct Opened {
    std::string certificates;
    /// It proves to the CA that this TPM has opened the answer: HMAC-SHA-256, in hexadecimal.
    std::string receipt;
};

/// @param secret as TPM2_ActivateCredential returns it
/// @throws Error(refused) for a box that was changed, or sealed with another secret or for other keys
Opened open(const Sealed& sealed, const Secret& secret, ByteView ek_name, ByteView ak_name);

} // namespace sshtpm::attest
