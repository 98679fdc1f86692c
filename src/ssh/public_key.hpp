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

class PublicKey {
  public:
    /// Parses a key blob (RFC 4253 section 6.6, RFC 5656 section 3.1), the whole of it.
    /// Refuses a point that is not on the curve, the point at infinity, compressed points, and RSA moduli
    /// outside 1024..16384 bits, even moduli, and exponents that are even, 1 or not below the modulus.
    /// @throws Error(malformed | unsupported)
    static PublicKey from_blob(ByteView blob);
    /// Takes from the reader what stands behind the type's name in a key blob, and behind the nonce in a
    /// certificate. Refuses what from_blob refuses, apart from bytes that follow.
    static PublicKey read_fields(wire::Reader& reader, KeyType type);
    /// Coordinates of any width up to the curve's. @throws Error(malformed) as from_blob.
    static PublicKey ecdsa(KeyType type, ByteView x, ByteView y);
    static PublicKey rsa(ByteView n, ByteView e);

    KeyType type() const noexcept { return type_; }
    /// Size as people count it: of the curve, or of the modulus.
    unsigned bits() const;
    /// False for points that nobody has by chance and OpenSSH (sshkey_ec_validate_public) does not take: a
    /// coordinate of half the order's bits or less, or not below the order less one.
    bool may_be_random() const;
    ByteView blob() const noexcept { return blob_; }
    const std::variant<EcdsaPoint, RsaNumbers>& numbers() const noexcept { return numbers_; }

    friend bool operator==(const PublicKey& a, const PublicKey& b) noexcept { return a.blob_ == b.blob_; }

  private:
    PublicKey(KeyType type, std::variant<EcdsaPoint, RsaNumbers> numbers);

    KeyType type_;
    std::variant<EcdsaPoint, RsaNumbers> numbers_;
    Bytes blob_;
};

} // namespace sshtpm::ssh
