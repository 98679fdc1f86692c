#include "ssh/fingerprint.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "ssh/certificate.hpp"
#include "ssh/digest.hpp"
#include "ssh/openssl.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"

namespace sshtpm::ssh {

namespace {

std::string with_colons(ByteView bytes) {
    std::string out;
    for (const auto& byte : bytes) {
        if (!out.empty())
            out += ':';
        out += hex({&byte, 1});
    }
    return out;
}

} // namespace

std::optional<FingerprintHash> fingerprint_hash_named(std::string_view word) {
    if (same_word(word, "sha256"))
        return FingerprintHash::sha256;
    if (same_word(word, "md5"))
        return FingerprintHash::md5;
    return std::nullopt;
}

KeyDescription describe(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.text();
    if (const auto* format = key_format_named(name)) {
        const auto bits = read_key_fields(reader, *format);
        reader.expect_end();
        return {bits, std::string(format->label), copy_of(blob)};
    }
    if (key_format_of_certificate(name) == nullptr)
        unsupported("\"" + printable(name, 64) + "\" is no known type of key");
    auto certificate = read_certificate(blob);
    return {certificate.bits, std::string(certificate.format->label) + "-CERT",
            std::move(certificate.plain_blob)};
}

Bytes fingerprint_digest(ByteView plain_blob, FingerprintHash hash) {
    if (hash == FingerprintHash::sha256)
        return digest(Hash::sha256, plain_blob);
    Bytes md5(16);
    openssl::require(
        EVP_Q_digest(nullptr, "MD5", nullptr, plain_blob.data(), plain_blob.size(), md5.data(), nullptr) == 1,
        Errc::unsupported, "OpenSSL has no MD5 here");
    return md5;
}

std::string fingerprint(ByteView plain_blob, FingerprintHash hash) {
    const auto bytes = fingerprint_digest(plain_blob, hash);
    return hash == FingerprintHash::md5 ? "MD5:" + with_colons(bytes)
                                        : "SHA256:" + base64_encode(bytes, Base64Padding::without);
}

std::string fingerprint_line(ByteView blob, std::string_view comment, FingerprintHash hash) {
    const auto key = describe(blob);
    const auto shown = comment.empty() ? "no comment" : printable(comment, comment.size());
    return std::to_string(key.bits) + " " + fingerprint(key.plain_blob, hash) + " " + shown + " (" +
           key.label + ")";
}

} // namespace sshtpm::ssh
