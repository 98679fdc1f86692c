// SPDX-License-Identifier: MIT
#pragma once
// Fingerprints as ssh-keygen -l prints them, for any key or certificate blob.

#include "base/bytes.hpp"

#include <optional>
#include <string>

namespace sshtpm::ssh {

enum class FingerprintHash { sha256, md5 };

/// Parses the argument of ssh-keygen -E: "sha256", "md5", "SHA256".
std::optional<FingerprintHash> fingerprint_hash_named(std::string_view word);

/// A key of any type as ssh-keygen describes it.
struct KeyDescription {
    unsigned bits = 0; ///< 0 for an unknown type
    std::string label; ///< "ECDSA", "RSA", "ED25519", "ECDSA-CERT", …
    Bytes plain_blob;  ///< the key without its certificate: fingerprints are hashes of this
};

/// Describes a key or a certificate. Knows RSA, DSA, ECDSA, Ed25519, the sk- types, ML-DSA-44 with Ed25519,
/// and certificates of them; of a blob of another type it checks only the name.
/// @throws Error(malformed | unsupported)
KeyDescription describe(ByteView blob);

/// @returns 32 or 16 bytes
Bytes fingerprint_digest(ByteView plain_blob, FingerprintHash hash);

/// "SHA256:…" (base64 without padding) or "MD5:aa:bb:…" of the plain blob.
std::string fingerprint(ByteView plain_blob, FingerprintHash hash = FingerprintHash::sha256);

/// The line of ssh-keygen -l, "256 SHA256:… comment (ECDSA)". An empty comment becomes "no comment";
/// characters that are not printable become '?'.
std::string fingerprint_line(ByteView blob, std::string_view comment, FingerprintHash hash);

/// The picture that ssh-keygen -lv draws ("drunken bishop", Loss, Limmer and von Gernler 2009).
/// Eleven lines, the last one without a newline.
std::string randomart(const KeyDescription& key, FingerprintHash hash = FingerprintHash::sha256);

} // namespace sshtpm::ssh
