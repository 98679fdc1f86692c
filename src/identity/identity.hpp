// SPDX-License-Identifier: MIT
#pragma once
// A key of the TPM that SSH can use.

#include "base/file.hpp"
#include "keyfile/key_file.hpp"
#include "ssh/certificate.hpp"
#include "ssh/public_key.hpp"
#include "ssh/signature.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace sshtpm::identity {

struct Identity {
    ssh::PublicKey public_key;
    ssh::Verifier verifier; ///< of public_key
    std::optional<ssh::Certificate> certificate;
    std::string comment; ///< printable; the file's path if the key has none
    std::shared_ptr<const keyfile::KeyFile> key;
    std::filesystem::path file = {}; ///< empty if it was not loaded from a file
    FileStamp stamp = {};            ///< of the file when it was loaded

    bool needs_pin() const noexcept { return !key->empty_auth; }
    /// For messages: the file; for a key without one, "key 'COMMENT' (SHA256:…)".
    std::string name() const;
};

/// @param fallback_comment the comment of a key file without a description
/// @throws Error(unsupported | malformed) if SSH cannot sign with the key
Identity make_identity(keyfile::KeyFile key, const std::string& fallback_comment);

/// Loads a key file, and the certificate in PATH-cert.pub if it certifies this key.
/// @throws Error that names the file
Identity load_identity(const std::filesystem::path& file);

/// Logs it if OpenSSH will ask the key for signatures that it cannot make: rsa-sha2-512, of an RSA key whose
/// scheme is fixed to SHA-256.
void tell_fixed_hash(const Identity& identity);

/// PATH-cert.pub for PATH.tpm, PATH.pub and PATH.
std::filesystem::path certificate_file(std::filesystem::path file);

} // namespace sshtpm::identity
