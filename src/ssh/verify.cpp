#include "ssh/verify.hpp"

#include "ssh/digest.hpp"
#include "ssh/key_blob.hpp"
#include "ssh/openssl.hpp"
#include "ssh/signature.hpp"

namespace sshtpm::ssh {

namespace {

struct SignatureBlob {
    std::string_view algorithm;
    ByteView value;
};

/// RFC 4253 section 6.6. The sk- types have more fields behind these, and are refused with what follows.
SignatureBlob parse(ByteView blob) {
    wire::Reader reader(blob);
    SignatureBlob out{.algorithm = reader.text(), .value = reader.string()};
    reader.expect_end();
    return out;
}

/// RFC 8709 sections 4 and 6: the key is 32 bytes, the signature 64; OpenSSL looks at both lengths.
bool verify_ed25519(ByteView plain_blob, const SignatureBlob& signature, ByteView data) {
    wire::Reader reader(plain_blob);
    if (signature.algorithm != reader.text())
        return false;
    const auto point = reader.string();
    reader.expect_end();
    const openssl::Pkey key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, point.data(), point.size()));
    const openssl::DigestContext context(EVP_MD_CTX_new());
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

/// RFC 8332 section 3. There are signers that leave out leading zero bytes, and OpenSSH takes their
/// signatures; none makes them longer than the modulus.
bool verify_rsa(const PublicKey& key, const SignatureBlob& signature, ByteView data) {
    if (signature.value.size() > std::get<RsaNumbers>(key.numbers()).n.size())
        return false;
    for (const auto flag : {SSH_AGENT_RSA_SHA2_256, SSH_AGENT_RSA_SHA2_512}) {
        const auto algorithm = choose_algorithm(KeyType::rsa, flag);
        if (algorithm && algorithm->name == signature.algorithm)
            return Verifier(key).verify(algorithm->hash, digest(algorithm->hash, data),
                                        RsaSignature{copy_of(signature.value)});
    }
    return false;
}

bool verify_plain(ByteView blob, const KeyFormat& format, const SignatureBlob& signature, ByteView data) {
    if (format.has_application || format.fields == KeyFields::dsa)
        return false;
    if (format.fields == KeyFields::ed25519)
        return verify_ed25519(blob, signature, data);
    const auto key = PublicKey::from_blob(blob);
    return key.type() == KeyType::rsa ? verify_rsa(key, signature, data) : verify_ecdsa(key, signature, data);
}

} // namespace

bool verify_signature(ByteView key_blob, ByteView signature, ByteView data) {
    try { // caught because to the caller a signature that does not parse is a wrong one
        const auto parsed = parse(signature);
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

} // namespace sshtpm::ssh
