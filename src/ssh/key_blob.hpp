#pragma once
// The blobs of every key type and certificate that OpenSSH 9.2 knows, for those who look at keys that this
// agent cannot hold. Not for other rooms: they have describe() and Certificate.

#include "ssh/public_key.hpp"
#include "wire/reader.hpp"

#include <string>
#include <vector>

namespace sshtpm::ssh {

/// What stands behind the type's name.
enum class KeyFields {
    held,    ///< those of a key that this agent can hold
    dsa,     ///< RFC 4253 section 6.6: mpint p, q, g, y
    ed25519, ///< RFC 8709 section 4: string of 32 bytes
};

struct KeyFormat {
    std::string_view name;             ///< in a key blob
    std::string_view certificate_name; ///< in a certificate blob
    std::string_view label;            ///< what ssh-keygen -l prints
    KeyFields fields;
    KeyType held = KeyType::rsa;  ///< whose fields they are, for KeyFields::held
    bool has_application = false; ///< PROTOCOL.u2f: a string behind the fields of an sk- key
};

/// By the name in a key blob; nullptr when OpenSSH 9.2 does not know it.
const KeyFormat* key_format_named(std::string_view name);
/// By the name in a certificate blob.
const KeyFormat* key_format_of_certificate(std::string_view name);

/// Takes the fields behind the name and checks them. @returns the size of the key as ssh-keygen counts it.
/// @throws Error(malformed)
unsigned read_key_fields(wire::Reader& reader, const KeyFormat& format);

/// The fields that follow the key in a certificate (PROTOCOL.certkeys); the views look into the blob.
struct CertificateTerms {
    std::uint64_t serial = 0;
    std::uint32_t role = 0; ///< 1 user, 2 host
    std::string_view key_id;
    std::vector<std::string_view> principals;
    std::uint64_t valid_after = 0;
    std::uint64_t valid_before = 0;
    bool has_critical_options = false;
    ByteView signature_key;
    ByteView signature; ///< of the CA; not checked
};

struct CertificateBlob {
    const KeyFormat* format = nullptr;
    unsigned bits = 0;
    Bytes plain_blob; ///< of the certified key
    CertificateTerms terms;
};

/// Parses the whole certificate; the CA's signature is not checked.
/// @throws Error(malformed | unsupported)
CertificateBlob read_certificate(ByteView blob);

} // namespace sshtpm::ssh
