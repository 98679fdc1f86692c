// SPDX-License-Identifier: MIT
#include "ssh/key_container.hpp"

#include "base/pem.hpp"
#include "base/printable.hpp"
#include "wire/reader.hpp"

#include <array>
#include <cstdint>

namespace sshtpm::ssh {

namespace {

/// A file format that is recognized by its first characters and refused.
struct Other {
    std::string_view start;
    Errc code;
    const char* message;
    const char* hint;
};

constexpr auto is_public = "a public key, where the private one is wanted";

constexpr std::array<Other, 8> others{{
    {"ssh-", Errc::malformed, is_public, ""},
    {"ecdsa-sha2-", Errc::malformed, is_public, ""},
    {"sk-", Errc::malformed, is_public, ""},
    {"PuTTY-User-Key-File-", Errc::unsupported, "a private key in PuTTY's format",
     "puttygen FILE -O private-openssh -o NEW"},
    {"---- BEGIN SSH2 ", Errc::unsupported, "a key in the format of SSH.com's programs",
     "convert it with `ssh-keygen -i`"},
    {"\xFF\xFE", Errc::unsupported, "a text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE >NEW"},
    {"\xFE\xFF", Errc::unsupported, "a text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE >NEW"},
    {"\x30", Errc::unsupported, "a key in DER, where PEM is wanted",
     "`openssl pkey -inform DER -in FILE -out NEW`"},
}};

[[noreturn]] void refuse_other(std::string_view text) {
    for (const auto& other : others)
        if (text.starts_with(other.start))
            throw Error(other.code, other.message, other.hint);
    refuse_without_private_key(text);
}

constexpr std::size_t widest = 512; ///< bytes of an RSA modulus of 4096 bits

constexpr auto halves_differ = "the private half of the key does not belong to its public half";

using NumberContext = openssl::Owner<BN_CTX, BN_CTX_free>;

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

/// @param scalar below the order
/// @returns its public point, uncompressed
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
                    "make a new key in the TPM: `ssh-tpm keygen -t rsa`");
}

/// A TPM takes one prime in half the modulus' width, and computes the other by division.
void require_two_equal_primes(const BIGNUM* p, const BIGNUM* q, int bits) {
    if (p == nullptr || q == nullptr || BN_is_zero(p) || BN_is_zero(q))
        unsupported("an RSA key without its primes, which a TPM needs");
    if (BN_num_bits(p) != bits / 2 || BN_num_bits(q) != bits / 2)
        unsupported("an RSA key with primes of unequal size, which a TPM cannot hold");
}

/// True when n is the product of p and q, and e has an inverse modulo p - 1 and q - 1 (RFC 8017 section 3.2).
/// Does not test that p and q are primes, which would take tenths of a second: the first signature, which is
/// verified (identity::prove), fails if they are not.
bool belong_together(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q) {
    const auto context = new_context();
    const auto value = openssl::number_of({}), less_one = openssl::number_of({});
    if (BN_mul(value.get(), p, q, context.get()) != 1 || BN_cmp(value.get(), n) != 0)
        return false;
    for (const auto* prime : {p, q}) {
        if (BN_sub(less_one.get(), prime, BN_value_one()) != 1 ||
            BN_gcd(value.get(), less_one.get(), e, context.get()) != 1 || BN_is_one(value.get()) != 1)
            return false;
    }
    return true;
}

/// Reads the field that follows the public point (RFC 9987 section 5.2.2).
PrivateKey read_scalar(wire::Reader& reader, PublicKey public_key) {
    return ecdsa_private_key(std::move(public_key), openssl::number_of(reader.unsigned_mpint()).get());
}

/// Reads the fields that follow modulus and exponent.
PrivateKey read_primes(wire::Reader& reader, ByteView n, ByteView e) {
    reader.unsigned_mpint(); // d
    reader.unsigned_mpint(); // the inverse of q
    const auto p = openssl::number_of(reader.unsigned_mpint()),
               q = openssl::number_of(reader.unsigned_mpint());
    return rsa_private_key(openssl::number_of(n).get(), openssl::number_of(e).get(), p.get(), q.get());
}

PrivateKey read_whole_key(wire::Reader& reader, KeyType type) {
    if (type != KeyType::rsa)
        return read_scalar(reader, PublicKey::read_fields(reader, type));
    const auto n = reader.unsigned_mpint(); // a key blob has them in the other order
    const auto e = reader.unsigned_mpint();
    return read_primes(reader, n, e);
}

/// Only the certificate has the public half.
KeyPair read_certified_key(wire::Reader& reader, KeyType type) {
    auto certificate = Certificate::from_blob(reader.string());
    const auto& public_key = certificate.public_key;
    if (public_key.type() != type)
        malformed("the certificate of a private key is of another type than the key");
    const auto* numbers = std::get_if<RsaNumbers>(&public_key.numbers());
    auto key =
        numbers != nullptr ? read_primes(reader, numbers->n, numbers->e) : read_scalar(reader, public_key);
    return {.key = std::move(key), .certificate = std::move(certificate)};
}

KeyPair read_fields(wire::Reader& reader, std::string_view name) {
    if (const auto type = key_type_of_certificate(name))
        return read_certified_key(reader, *type);
    if (const auto type = key_type_named(name))
        return {.key = read_whole_key(reader, *type), .certificate = std::nullopt};
    const auto* const certified = key_format_of_certificate(name);
    refuse_type(certified != nullptr ? certified->name : name);
}

} // namespace

PrivateKey ecdsa_private_key(PublicKey public_key, const BIGNUM* scalar) {
    const auto width = info(public_key.type()).coordinate_size;
    const auto* group = openssl::group_of(public_key.type());
    openssl::require(!BN_is_zero(scalar) && !BN_is_negative(scalar) &&
                         BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0,
                     Errc::malformed, damaged_private_key);
    if (!equal(multiplied(group, scalar, width), public_key.sec1_point()))
        malformed(halves_differ);
    return {std::move(public_key), fixed_width_secret(scalar, width), {}};
}

PrivateKey rsa_private_key(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q) {
    const auto bits = BN_num_bits(n);
    require_tpm_size(bits);
    // TPMS_RSA_PARMS has 32 bits for the exponent (TPM 2.0 Part 2, 12.2.3.5).
    if (BN_num_bits(e) > 32)
        unsupported("an RSA key with a public exponent of more than 32 bits, which a TPM cannot hold");
    require_two_equal_primes(p, q, bits);
    auto public_key = PublicKey::rsa(openssl::bytes_of(n), openssl::bytes_of(e));
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
    unsupported(message, "make a new key in the TPM: `ssh-tpm keygen -t ecdsa`");
}

OpenedKey open_private_key(const Secret& file, const Secret* passphrase) {
    if (file.size() > max_private_key_file)
        malformed("too large for a private key");
    const auto text = text_of(file.view());
    const auto found = find_private_key(text);
    if (!found)
        refuse_other(text);
    return found->label == "OPENSSH PRIVATE KEY" ? read_openssh_key(found->text, passphrase)
                                                 : read_pem_key(found->text, passphrase);
}

KeyPair read_key_pair(wire::Reader& reader) {
    const auto name = reader.text();
    auto pair = read_fields(reader, name);
    pair.key.comment = reader.c_text(); // as OpenSSH reads it
    return pair;
}

} // namespace sshtpm::ssh
