// SPDX-License-Identifier: MIT
#include "ssh/certificate.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sshtpm::ssh {

namespace {

constexpr KeyFormat held(KeyType type) {
    return {info(type).name, info(type).certificate_name, info(type).label, KeyFields::held, type};
}

constexpr std::array<KeyFormat, 9> formats{{
    held(KeyType::ecdsa_p256),
    held(KeyType::ecdsa_p384),
    held(KeyType::ecdsa_p521),
    held(KeyType::rsa),
    {"ssh-dss", "ssh-dss-cert-v01@openssh.com", "DSA", KeyFields::dsa},
    {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "ED25519", KeyFields::ed25519},
    {.name = "sk-ecdsa-sha2-nistp256@openssh.com",
     .certificate_name = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
     .label = "ECDSA-SK",
     .fields = KeyFields::held,
     .held = KeyType::ecdsa_p256,
     .has_application = true},
    {.name = "sk-ssh-ed25519@openssh.com",
     .certificate_name = "sk-ssh-ed25519-cert-v01@openssh.com",
     .label = "ED25519-SK",
     .fields = KeyFields::ed25519,
     .has_application = true},
    {"ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519-cert", "MLDSA44-ED25519", KeyFields::mldsa44_ed25519},
}};

constexpr std::size_t most_principals = 256; // SSHKEY_CERT_MAX_PRINCIPALS of OpenSSH
constexpr std::size_t ed25519_size = 32;
constexpr unsigned ed25519_bits = 256;         // as ssh-keygen says, although the field has 255
constexpr std::size_t mldsa44_size = 1312;     // FIPS 204, table 2
constexpr unsigned mldsa44_ed25519_bits = 512; // as ssh-keygen says
constexpr std::size_t most_dsa_bytes = 16384 / 8;

const KeyFormat* find(decltype(&KeyFormat::name) member, std::string_view name) {
    const auto found = std::ranges::find(formats, name, member);
    return found == formats.end() ? nullptr : &*found;
}

unsigned read_dsa(wire::Reader& reader) {
    const auto p = reader.unsigned_mpint();
    if (p.empty() || p.size() > most_dsa_bytes)
        malformed("the size of a DSA key is out of range");
    for (int field = 0; field < 3; ++field) { // q, g and y
        const auto number = reader.unsigned_mpint();
        if (number.empty() || number.size() > p.size())
            malformed("a number of a DSA key is out of range");
    }
    return bit_length(p);
}

unsigned read_ed25519(wire::Reader& reader) {
    if (reader.string().size() != ed25519_size)
        malformed("an Ed25519 key that is not of 32 bytes");
    return ed25519_bits;
}

unsigned read_mldsa44_ed25519(wire::Reader& reader) {
    if (reader.string().size() != mldsa44_size + ed25519_size)
        malformed("an ML-DSA-44 and Ed25519 key that is not of 1344 bytes");
    return mldsa44_ed25519_bits;
}

unsigned read_held(wire::Reader& reader, KeyType type) {
    const auto key = PublicKey::read_fields(reader, type);
    if (!key.is_plausible())
        malformed("an invalid ECDSA public key");
    return key.bits();
}

unsigned read_numbers(wire::Reader& reader, const KeyFormat& format) {
    switch (format.fields) {
    case KeyFields::held:
        return read_held(reader, format.held);
    case KeyFields::dsa:
        return read_dsa(reader);
    case KeyFields::ed25519:
        return read_ed25519(reader);
    case KeyFields::mldsa44_ed25519:
        return read_mldsa44_ed25519(reader);
    }
    return 0;
}

std::vector<std::string_view> read_principals(ByteView list) {
    std::vector<std::string_view> principals;
    for (wire::Reader reader(list); !reader.empty();) {
        if (principals.size() == most_principals)
            malformed("a certificate with more than 256 principals");
        principals.push_back(reader.c_text()); // OpenSSH refuses a NUL in the middle, too
    }
    return principals;
}

/// Critical options or extensions: pairs of a name and its data.
void check_options(ByteView list) {
    for (wire::Reader reader(list); !reader.empty();) {
        if (reader.text().empty())
            malformed("an option without a name in a certificate");
        reader.string();
    }
}

/// Checks the CA's key. It may have any type except a certificate.
void check_signature_key(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.text();
    if (key_format_of_certificate(name) != nullptr)
        malformed("a certificate that is signed by a certificate");
    const auto* format = key_format_named(name);
    if (format == nullptr)
        unsupported("a certificate by a CA key of type \"" + printable(name, 64) + "\"");
    read_key_fields(reader, *format);
    reader.expect_end();
}

/// @returns the name of its algorithm
std::string_view check_signature(ByteView blob) {
    wire::Reader reader(blob);
    const auto algorithm = reader.text();
    reader.string(); // an sk- key adds a byte of flags and a counter
    return algorithm;
}

} // namespace

const KeyFormat* key_format_named(std::string_view name) {
    return find(&KeyFormat::name, name);
}

const KeyFormat* key_format_of_certificate(std::string_view name) {
    return find(&KeyFormat::certificate_name, name);
}

unsigned read_key_fields(wire::Reader& reader, const KeyFormat& format) {
    const auto bits = read_numbers(reader, format);
    if (format.has_application)
        reader.c_text();
    return bits;
}

CertificateBlob read_certificate(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.text();
    CertificateBlob certificate;
    certificate.format = key_format_of_certificate(name);
    if (certificate.format == nullptr)
        unsupported("\"" + printable(name, 64) + "\" is no known type of certificate");
    reader.string(); // nonce
    const auto from_fields = reader.rest();
    certificate.bits = read_key_fields(reader, *certificate.format);
    const auto fields = from_fields.first(from_fields.size() - reader.rest().size());
    certificate.plain_blob = wire::Writer().text(certificate.format->name).raw(fields).bytes();
    reader.uint64(); // serial
    certificate.role = reader.uint32();
    if (certificate.role != user_role && certificate.role != host_role)
        malformed("a certificate that is neither a user's nor a host's");
    certificate.key_id = reader.c_text();
    certificate.principals = read_principals(reader.string());
    certificate.valid_after = reader.uint64();
    certificate.valid_before = reader.uint64();
    const auto critical_options = reader.string();
    check_options(critical_options);
    certificate.has_critical_options = !critical_options.empty();
    certificate.extensions = reader.string();
    check_options(certificate.extensions);
    reader.string(); // reserved: "ignored in this version of the protocol"
    certificate.signature_key = reader.string();
    check_signature_key(certificate.signature_key);
    certificate.signed_part = blob.first(blob.size() - reader.rest().size());
    certificate.signature = reader.string();
    certificate.signature_algorithm = check_signature(certificate.signature);
    reader.expect_end();
    return certificate;
}

/// Since 1970; 0 before that.
static std::uint64_t seconds_of(std::chrono::system_clock::time_point now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds);
}

Certificate Certificate::from_blob(ByteView blob) {
    const auto name = wire::Reader(blob).text();
    if (!key_type_of_certificate(name))
        unsupported("a certificate of type \"" + printable(name, 64) + "\" cannot be used here");
    const auto parsed = read_certificate(blob);
    return {.blob = copy_of(blob),
            .public_key = PublicKey::from_blob(parsed.plain_blob),
            .key_id = std::string(parsed.key_id),
            .valid_before = parsed.valid_before};
}

std::optional<std::string_view> CertificateBlob::extension(std::string_view name) const {
    for (wire::Reader reader(extensions); !reader.empty();) {
        const bool is_it = reader.text() == name;
        wire::Reader data(reader.string());
        if (!is_it)
            continue;
        try { // caught because another program may have given it another form
            const auto value = data.text();
            data.expect_end();
            return value;
        } catch (const Error&) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

bool CertificateBlob::has_begun(std::chrono::system_clock::time_point now) const {
    return seconds_of(now) >= valid_after;
}

bool CertificateBlob::has_expired(std::chrono::system_clock::time_point now) const {
    return seconds_of(now) >= valid_before;
}

bool Certificate::has_expired(std::chrono::system_clock::time_point now) const {
    return seconds_of(now) >= valid_before;
}

} // namespace sshtpm::ssh
