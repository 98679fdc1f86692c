// SPDX-License-Identifier: MIT
#include "ssh/verify.hpp"

#include "ssh/certificate.hpp"
#include "ssh/digest.hpp"
#include "ssh/openssl.hpp"
#include "ssh/signature.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sshtpm::ssh {

namespace {

using DigestContext = openssl::Owner<EVP_MD_CTX, EVP_MD_CTX_free>;

struct SignatureBlob {
    std::string_view algorithm;
    ByteView value;
};

/// RFC 4253 section 6.6.
SignatureBlob parse_signature(ByteView blob) {
    wire::Reader reader(blob);
    SignatureBlob out{.algorithm = reader.text(), .value = reader.string()};
    reader.expect_end();
    return out;
}

/// RFC 8709 sections 4 and 6: the key has 32 bytes, the signature 64. OpenSSL checks both lengths.
bool verify_ed25519(ByteView plain_blob, const SignatureBlob& signature, ByteView data) {
    wire::Reader reader(plain_blob);
    if (signature.algorithm != reader.text())
        return false;
    const auto point = reader.string();
    reader.expect_end();
    const openssl::Pkey key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, point.data(), point.size()));
    const DigestContext context(EVP_MD_CTX_new());
    const bool valid = key && context &&
                       EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                       EVP_DigestVerify(context.get(), signature.value.data(), signature.value.size(),
                                        data.data(), data.size()) == 1;
    ERR_clear_error();
    return valid;
}

/// RFC 5656 section 3.1.2.
bool verify_ecdsa(const PublicKey& key, const SignatureBlob& signature, ByteView data) {
    const auto& type = info(key.type());
    if (signature.algorithm != type.name)
        return false;
    wire::Reader reader(signature.value);
    const auto r = reader.unsigned_mpint();
    const auto s = reader.unsigned_mpint();
    reader.expect_end();
    return Verifier(key).verify(type.hash, digest(type.hash, data),
                                EcdsaSignature{.r = copy_of(r), .s = copy_of(s)});
}

/// RFC 8332 section 3. Like OpenSSH, this accepts a signature without its leading zero bytes, which some
/// signers leave out.
bool verify_rsa(const PublicKey& key, const SignatureBlob& signature, ByteView data) {
    if (signature.value.size() > std::get<RsaNumbers>(key.numbers()).n.size())
        return false;
    for (const auto& algorithm : algorithms_of(KeyType::rsa))
        if (algorithm.name == signature.algorithm)
            return Verifier(key).verify(algorithm.hash, digest(algorithm.hash, data),
                                        RsaSignature{copy_of(signature.value)});
    return false;
}

bool verify_plain(ByteView blob, const KeyFormat& format, const SignatureBlob& signature, ByteView data) {
    if (!can_verify(blob))
        return false;
    if (format.fields == KeyFields::ed25519)
        return verify_ed25519(blob, signature, data);
    const auto key = PublicKey::from_blob(blob);
    return key.type() == KeyType::rsa ? verify_rsa(key, signature, data) : verify_ecdsa(key, signature, data);
}

/// A signature by a security token (PROTOCOL.u2f). The token signs the digest of the application, a byte of
/// flags and a counter, and the digest of the data; its signature has the flags and the counter as further
/// fields.
bool verify_by_token(ByteView key_blob, ByteView signature, ByteView data) {
    wire::Reader key(key_blob);
    const auto name = key.text();
    const bool ed25519 = key_format_named(name)->fields == KeyFields::ed25519;
    const std::string_view plain = ed25519 ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
    wire::Writer plain_key;
    plain_key.text(plain);
    if (!ed25519)
        plain_key.string(key.string()); // the curve
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

bool authority_signed(const CertificateBlob& certificate) {
    const auto* format = key_format_named(wire::Reader(certificate.signature_key).text());
    const bool token = format != nullptr && format->has_application;
    return (token ? verify_by_token : verify_signature)(certificate.signature_key, certificate.signature,
                                                        certificate.signed_part);
}

/// Names that no key blob has, but that sshkey_type_from_name knows: short names, in any case, and names of
/// signature algorithms.
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

void require_sound(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.c_text();
    if (is_alias(name))
        malformed("an unknown key type");
    if (const auto* format = key_format_named(name)) {
        read_key_fields(reader, *format);
        reader.expect_end();
    } else if (key_format_of_certificate(name) != nullptr && !authority_signed(read_certificate(blob))) {
        malformed("a certificate that its authority has not signed");
    }
}

} // namespace

bool can_verify(ByteView key_blob) {
    const auto name = wire::Reader(key_blob).text();
    const auto* const plain = key_format_named(name);
    const auto* const format = plain != nullptr ? plain : key_format_of_certificate(name);
    return format != nullptr && !format->has_application &&
           (format->fields == KeyFields::held || format->fields == KeyFields::ed25519);
}

bool verify_signature(ByteView key_blob, ByteView signature, ByteView data) {
    try {
        const auto parsed = parse_signature(signature);
        if (const auto* const format = key_format_named(wire::Reader(key_blob).text()))
            return verify_plain(key_blob, *format, parsed, data);
        const auto certificate = read_certificate(key_blob);
        return verify_plain(certificate.plain_blob, *certificate.format, parsed, data);
    } catch (const Error& error) {
        if (error.code() != Errc::malformed && error.code() != Errc::unsupported)
            throw;
        return false;
    }
}

bool is_certificate(ByteView blob) {
    try {
        return key_format_of_certificate(wire::Reader(blob).text()) != nullptr;
    } catch (const Error&) {
        return false;
    }
}

bool is_plain_key(ByteView blob) {
    try {
        const auto* const format = key_format_named(wire::Reader(blob).text());
        return format != nullptr && !format->has_application && format->fields != KeyFields::mldsa44_ed25519;
    } catch (const Error&) {
        return false;
    }
}

bool certifies_host(ByteView certificate, ByteView authority, std::string_view host,
                    std::chrono::system_clock::time_point now) {
    const auto names_host = [&](std::string_view principal) { return match_pattern(host, principal); };
    try {
        const auto parsed = read_certificate(certificate);
        return equal(parsed.signature_key, authority) && parsed.role == host_role &&
               now.time_since_epoch().count() >= 0 && parsed.has_begun(now) && !parsed.has_expired(now) &&
               !parsed.has_critical_options && std::ranges::any_of(parsed.principals, names_host) &&
               verify_signature(parsed.signature_key, parsed.signature, parsed.signed_part);
    } catch (const Error& error) {
        if (error.code() != Errc::malformed && error.code() != Errc::unsupported)
            throw;
        return false;
    }
}

std::optional<std::string> spoils_list(ByteView blob) {
    try {
        require_sound(blob);
        return std::nullopt;
    } catch (const Error& error) {
        return error.what();
    }
}

} // namespace sshtpm::ssh
