// SPDX-License-Identifier: MIT
#pragma once
// A public key of a type that this agent can hold.

#include "ssh/algorithm.hpp"

#include <string>
#include <variant>

namespace sshtpm::wire {
class Reader;
}

namespace sshtpm::ssh {

/// A point on the curve, both coordinates big-endian in the curve's fixed width.
struct EcdsaPoint {
    Bytes x, y;
};

/// Modulus and exponent, big-endian without leading zero bytes.
struct RsaNumbers {
    Bytes n, e;
};

/// @param integer big-endian, without leading zero bytes
unsigned bit_length(ByteView integer);

class PublicKey {
  public:
    /// Parses a whole key blob (RFC 4253 section 6.6, RFC 5656 section 3.1).
    /// @throws Error(unsupported) for another type, Error(malformed) for a point that is compressed, at
    ///     infinity or not on the curve, for an RSA modulus that is even or outside 1024 to 16384 bits, and
    ///     for an exponent that is even, 1 or not below the modulus.
    static PublicKey from_blob(ByteView blob);
    /// Reads the fields that follow the type's name in a key blob, or the nonce in a certificate.
    /// @throws Error(malformed) as from_blob
    static PublicKey read_fields(wire::Reader& reader, KeyType type);
    /// @param x, y of any width up to the curve's
    /// @throws Error(malformed) as from_blob
    static PublicKey ecdsa(KeyType type, ByteView x, ByteView y);
    static PublicKey rsa(ByteView n, ByteView e);

    KeyType type() const noexcept { return type_; }
    /// The size of the curve or of the modulus.
    unsigned bits() const;
    /// False for a point that OpenSSH refuses (sshkey_ec_validate_public): a coordinate has at most half as
    /// many bits as the order, or is not below the order less one. No random key has such a point.
    bool is_plausible() const;
    ByteView blob() const noexcept { return blob_; }
    /// The point of an ECDSA key in the uncompressed form (SEC 1 section 2.3.3), a view of the blob.
    ByteView sec1_point() const noexcept { return blob().last(1 + 2 * info(type_).coordinate_size); }
    const std::variant<EcdsaPoint, RsaNumbers>& numbers() const noexcept { return numbers_; }

    friend bool operator==(const PublicKey& a, const PublicKey& b) noexcept { return a.blob_ == b.blob_; }

  private:
    PublicKey(KeyType type, std::variant<EcdsaPoint, RsaNumbers> numbers);

    KeyType type_;
    std::variant<EcdsaPoint, RsaNumbers> numbers_;
    Bytes blob_;
};

} // namespace sshtpm::ssh
