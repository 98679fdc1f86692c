// SPDX-License-Identifier: MIT
#pragma once
// Signatures: their numbers, their blobs, and their verification.

#include "ssh/public_key.hpp"

#include <memory>

namespace sshtpm::ssh {

/// r and s, big-endian, any width.
struct EcdsaSignature {
    Bytes r, s;
};

/// RSASSA-PKCS1-v1_5, big-endian.
struct RsaSignature {
    Bytes s;
};

using RawSignature = std::variant<EcdsaSignature, RsaSignature>;

/// The signature blob: string algorithm, string value (RFC 5656 section 3.1.2: mpint r, mpint s; RFC 8332:
/// the integer in the modulus' width).
Bytes encode_signature(const PublicKey& key, const SignatureAlgorithm& algorithm,
                       const RawSignature& signature);

/// Verifies signatures of one key. Make one Verifier per key, because making an OpenSSL key takes longer than
/// a verification. Any thread may use it, one thread at a time.
class Verifier {
  public:
    /// @throws Error(malformed) if OpenSSL refuses the key
    explicit Verifier(const PublicKey& key);
    Verifier(Verifier&&) noexcept;
    Verifier& operator=(Verifier&&) noexcept;
    ~Verifier();

    /// True if the key has signed `digest`, a digest of `hash`. False for a signature of another kind of key,
    /// and for numbers out of range.
    bool verify(Hash hash, ByteView digest, const RawSignature& signature) const;

  private:
    struct Key;
    std::unique_ptr<Key> key_;
};

} // namespace sshtpm::ssh
