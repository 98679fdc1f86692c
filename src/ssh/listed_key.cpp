#include "ssh/listed_key.hpp"

#include "base/error.hpp"
#include "ssh/digest.hpp"
#include "ssh/key_blob.hpp"
#include "ssh/verify.hpp"
#include "ssh/words.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>

namespace sshtpm::ssh {

namespace {

/// Names that no key has in its blob, and that sshkey_type_from_name knows nevertheless: the short names, in
/// whatever case, and those of signature algorithms.
constexpr std::array<std::string_view, 12> aliases{
    "rsa",
    "dsa",
    "ecdsa",
    "ed25519",
    "ecdsa-sk",
    "ed25519-sk",
    "xmss",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
};

bool is_alias(std::string_view name) {
    return std::ranges::any_of(aliases, [&](auto alias) { return same_word(name, alias); });
}

/// PROTOCOL.u2f: a token signs digests of the application and of the data, with a byte and a counter between
/// them; behind that it is a signature as its plain kin make it.
bool verify_by_token(ByteView key_blob, ByteView signature, ByteView data) {
    wire::Reader key(key_blob);
    const auto name = key.text();
    const bool ed25519 = key_format_named(name)->fields == KeyFields::ed25519;
    const std::string_view plain = ed25519 ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
    wire::Writer plain_key;
    plain_key.text(plain);
    if (!ed25519)
        plain_key.string(key.string());
    plain_key.string(key.string());
    const auto application = key.string();

    wire::Reader parts(signature);
    if (parts.text() != name)
        return false;
    const auto plain_signature = wire::Writer().text(plain).string(parts.string()).bytes();
    const auto flags_and_counter = parts.take(1 + 4);
    parts.expect_end();
    Bytes signed_data = digest(Hash::sha256, application);
    append(signed_data, flags_and_counter);
    append(signed_data, digest(Hash::sha256, data));
    return verify_signature(plain_key.bytes(), plain_signature, signed_data);
}

/// PROTOCOL.certkeys: the signature is the last field, over all that stands in front of it.
bool authority_signed(ByteView blob, const CertificateTerms& terms) {
    constexpr std::size_t length_field = 4;
    const auto body = blob.first(blob.size() - terms.signature.size() - length_field);
    const auto* format = key_format_named(wire::Reader(terms.signature_key).text());
    if (format != nullptr && format->has_application)
        return verify_by_token(terms.signature_key, terms.signature, body);
    return verify_signature(terms.signature_key, terms.signature, body);
}

void require_sound(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.c_text();
    if (is_alias(name))
        throw Error(Errc::malformed, "a type that is no key's");
    if (const auto* format = key_format_named(name)) {
        read_key_fields(reader, *format);
        reader.expect_end();
    } else if (key_format_of_certificate(name) != nullptr) {
        const auto certificate = read_certificate(blob);
        if (!authority_signed(blob, certificate.terms))
            throw Error(Errc::malformed, "a certificate that its authority has not signed");
    }
}

} // namespace

std::optional<std::string> spoils_list(ByteView blob) {
    try { // caught because the reason is what is asked for
        require_sound(blob);
        return std::nullopt;
    } catch (const Error& error) {
        return error.what();
    }
}

} // namespace sshtpm::ssh
