// What a TPM and SSH ask of the numbers of a private key.

#include "base/printable.hpp"
#include "ssh/curve.hpp"
#include "ssh/key_container.hpp"

#include <array>

#include <openssl/core_names.h>

namespace sshtpm::ssh {

namespace {

constexpr std::size_t widest = 512; ///< bytes of an RSA modulus of 4096 bits

constexpr auto halves_differ = "the private half of the key does not belong to its public half";

using NumberContext = Owner<BN_CTX, BN_CTX_free>;

Number new_number() {
    Number number(BN_secure_new());
    openssl::require(number != nullptr, Errc::io, "OpenSSL has no memory for a number");
    return number;
}

NumberContext new_context() {
    NumberContext context(BN_CTX_secure_new());
    openssl::require(context != nullptr, Errc::io, "OpenSSL has no memory for a number");
    return context;
}

Secret fixed_width_secret(const BIGNUM* value, std::size_t width) {
    Wiped<std::array<std::uint8_t, widest>> bytes;
    openssl::require(BN_bn2binpad(value, bytes->data(), static_cast<int>(width)) >= 0, Errc::malformed,
                     "a number of the private key is too large");
    return Secret::copy_of(ByteView(*bytes).first(width));
}

Bytes public_bytes(const BIGNUM* value) {
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(value)));
    BN_bn2bin(value, bytes.data());
    return bytes;
}

/// The public half that a scalar below the order has, uncompressed.
Bytes multiplied(const EC_GROUP* group, const BIGNUM* scalar, std::size_t width) {
    const openssl::EcPoint point(EC_POINT_new(group));
    const auto context = new_context();
    Bytes octets(1 + 2 * width);
    const bool done = point &&
                      EC_POINT_mul(group, point.get(), scalar, nullptr, nullptr, context.get()) == 1 &&
                      EC_POINT_point2oct(group, point.get(), POINT_CONVERSION_UNCOMPRESSED, octets.data(),
                                         octets.size(), context.get()) == octets.size();
    openssl::require(done, Errc::malformed, halves_differ);
    return octets;
}

void require_tpm_size(int bits) {
    if (bits != 2048 && bits != 3072 && bits != 4096)
        unsupported("an RSA key of " + std::to_string(bits) + " bits, where a TPM takes 2048, 3072 and 4096",
                    "make a new key in the TPM: ssh-tpm keygen -t rsa");
}

/// A TPM has one prime, in half the modulus' width, and finds the other by division.
void require_two_equal_primes(const BIGNUM* p, const BIGNUM* q, int bits) {
    if (p == nullptr || q == nullptr || BN_is_zero(p) || BN_is_zero(q))
        unsupported("an RSA key without its primes, which a TPM needs");
    if (BN_num_bits(p) != bits / 2 || BN_num_bits(q) != bits / 2)
        unsupported("an RSA key with primes of unequal size, which a TPM cannot hold");
}

/// n is the product of p and q, and e has an inverse modulo p - 1 and q - 1 (RFC 8017 section 3.2). That they
/// are primes is not tested: it would take tenths of a second, and a key for which they are not shows it at
/// its first signature, which is checked (identity::prove).
bool belong_together(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q) {
    const auto context = new_context();
    const auto value = new_number(), less_one = new_number();
    if (BN_mul(value.get(), p, q, context.get()) != 1 || BN_cmp(value.get(), n) != 0)
        return false;
    for (const auto* prime : {p, q}) {
        if (BN_sub(less_one.get(), prime, BN_value_one()) != 1 ||
            BN_gcd(value.get(), less_one.get(), e, context.get()) != 1 || BN_is_one(value.get()) != 1)
            return false;
    }
    return true;
}

} // namespace

Number number_of(ByteView integer) {
    auto number = new_number();
    openssl::require(BN_bin2bn(integer.data(), static_cast<int>(integer.size()), number.get()) != nullptr,
                     Errc::io, "OpenSSL has no memory for a number");
    return number;
}

PrivateKey ecdsa_private_key(PublicKey public_key, const BIGNUM* scalar) {
    const auto width = info(public_key.type()).coordinate_size;
    const auto* group = openssl::group_of(public_key.type());
    openssl::require(!BN_is_zero(scalar) && !BN_is_negative(scalar) &&
                         BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0,
                     Errc::malformed, damaged_private_key);
    const auto octets = multiplied(group, scalar, width);
    const auto& [x, y] = std::get<EcdsaPoint>(public_key.numbers());
    openssl::require(equal(ByteView(octets).subspan(1, width), x) &&
                         equal(ByteView(octets).subspan(1 + width), y),
                     Errc::malformed, halves_differ);
    return {std::move(public_key), fixed_width_secret(scalar, width), {}};
}

PrivateKey rsa_private_key(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q) {
    const auto bits = BN_num_bits(n);
    require_tpm_size(bits);
    // TPMS_RSA_PARMS has 32 bits for the exponent (TPM 2.0 Part 2, 12.2.3.5).
    if (BN_num_bits(e) > 32)
        unsupported("an RSA key with a public exponent of more than 32 bits, which a TPM cannot hold");
    require_two_equal_primes(p, q, bits);
    auto public_key = PublicKey::rsa(public_bytes(n), public_bytes(e));
    openssl::require(belong_together(n, e, p, q), Errc::malformed, halves_differ);
    return {std::move(public_key), fixed_width_secret(p, static_cast<std::size_t>(bits) / 16), {}};
}

void refuse_type(std::string_view name) {
    std::string message = "a key of the type " + printable(name, 64) + ", which SSH or the TPM does not have";
    if (name.starts_with("sk-"))
        message = "the key of a security token, which does not give it away";
    else if (name == "ssh-ed25519" || name == "ED25519")
        message = "an Ed25519 key, and TPMs do not have that algorithm";
    else if (name == "ssh-dss" || name == "DSA")
        message = "a DSA key, which neither SSH nor the TPM takes";
    unsupported(message, "make a new key in the TPM: ssh-tpm keygen -t ecdsa");
}

} // namespace sshtpm::ssh
