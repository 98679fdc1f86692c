#include "ssh/key_pair.hpp"

#include "ssh/key_blob.hpp"
#include "ssh/key_container.hpp"

namespace sshtpm::ssh {

namespace {

/// PROTOCOL.agent of OpenSSH 9 and RFC 9987 section 5.2.2: what follows the public point.
PrivateKey read_scalar(wire::Reader& reader, PublicKey public_key) {
    return ecdsa_private_key(std::move(public_key), number_of(reader.unsigned_mpint()).get());
}

/// What follows modulus and exponent.
PrivateKey read_primes(wire::Reader& reader, ByteView n, ByteView e) {
    reader.unsigned_mpint(); // d
    reader.unsigned_mpint(); // the inverse of q
    const auto p = number_of(reader.unsigned_mpint()), q = number_of(reader.unsigned_mpint());
    return rsa_private_key(number_of(n).get(), number_of(e).get(), p.get(), q.get());
}

PrivateKey read_whole_key(wire::Reader& reader, KeyType type) {
    if (type != KeyType::rsa)
        return read_scalar(reader, PublicKey::read_fields(reader, type));
    const auto n = reader.unsigned_mpint(); // in a key blob they stand the other way round
    const auto e = reader.unsigned_mpint();
    return read_primes(reader, n, e);
}

/// The public half is in the certificate alone.
KeyPair read_certified_key(wire::Reader& reader, KeyType type) {
    auto certificate = Certificate::from_blob(reader.string());
    const auto& public_key = certificate.public_key;
    if (public_key.type() != type)
        throw Error(Errc::malformed, "the certificate of a private key is of another type than the key");
    const auto* numbers = std::get_if<RsaNumbers>(&public_key.numbers());
    auto key =
        numbers != nullptr ? read_primes(reader, numbers->n, numbers->e) : read_scalar(reader, public_key);
    return {.key = std::move(key), .certificate = std::move(certificate)};
}

[[noreturn]] void refuse(std::string_view name) {
    const auto* const certified = key_format_of_certificate(name);
    refuse_type(certified != nullptr ? certified->name : name);
}

KeyPair read_fields(wire::Reader& reader, std::string_view name) {
    if (const auto type = key_type_of_certificate(name))
        return read_certified_key(reader, *type);
    const auto type = key_type_named(name);
    if (!type)
        refuse(name);
    return {.key = read_whole_key(reader, *type), .certificate = std::nullopt};
}

} // namespace

KeyPair read_key_pair(wire::Reader& reader) {
    const auto name = reader.text();
    auto pair = read_fields(reader, name);
    pair.key.comment = reader.c_text(); // as OpenSSH reads it
    return pair;
}

} // namespace sshtpm::ssh
