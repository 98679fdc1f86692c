#pragma once
// A key that the agent can sign with: where TPM and SSH meet.

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
    std::string comment; ///< printable; the file's path where the key has none
    std::shared_ptr<const keyfile::KeyFile> key;
    std::filesystem::path file = {}; ///< that it was loaded from; empty when from none
    FileStamp stamp = {};            ///< of the file, at that time

    bool needs_pin() const noexcept { return !key->empty_auth; }
};

/// @param fallback_comment for a key file without a description.
/// @throws Error(unsupported | malformed) when the key is none that SSH can sign with.
Identity make_identity(keyfile::KeyFile key, const std::string& fallback_comment);

/// The identity of a key file, with the certificate in PATH-cert.pub when that is there and is this key's.
/// @throws Error naming the file.
Identity load_identity(const std::filesystem::path& file);

/// Where the certificate of a key file lies: PATH-cert.pub for PATH.tpm.
std::filesystem::path certificate_file(std::filesystem::path file);

} // namespace sshtpm::identity
