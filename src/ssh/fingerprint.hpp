#pragma once
// Fingerprints as ssh-keygen -l prints them, for any key or certificate blob.

#include "base/bytes.hpp"

#include <optional>
#include <string>

namespace sshtpm::ssh {

enum class FingerprintHash { sha256, md5 };

/// By the words of ssh-keygen -E ("sha256", "md5"), in either case.
std::optional<FingerprintHash> fingerprint_hash_named(std::string_view word);

/// What ssh-keygen knows about a key of any type from its blob.
struct KeyDescription {
    unsigned bits = 0;
    std::string label; ///< "ECDSA", "RSA", "ED25519", "ECDSA-CERT", …
    Bytes plain_blob;  ///< of the key itself, without what a certificate adds: fingerprints are over this
};

/// Understands every type of OpenSSH 9.2: RSA, DSA, ECDSA, Ed25519, the sk- types, and certificates of them.
/// @throws Error(malformed | unsupported)
KeyDescription describe(ByteView blob);

/// The digest itself, 32 or 16 bytes.
Bytes fingerprint_digest(ByteView plain_blob, FingerprintHash hash);

/// "SHA256:…" (base64 without padding) or "MD5:aa:bb:…" of the plain blob.
std::string fingerprint(ByteView plain_blob, FingerprintHash hash = FingerprintHash::sha256);

/// The line of ssh-keygen -l: "256 SHA256:… comment (ECDSA)"; "no comment" where there is none.
/// The comment is made printable; it is not shortened.
std::string fingerprint_line(ByteView blob, std::string_view comment, FingerprintHash hash);

} // namespace sshtpm::ssh
