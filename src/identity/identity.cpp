// SPDX-License-Identifier: MIT
#include "identity/identity.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "identity/convert.hpp"
#include "keyfile/usable.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

namespace sshtpm::identity {

namespace fs = std::filesystem;

namespace {

/// @returns nothing for a certificate that is malformed or of another key; logs the reason, except while the
///     file is being written
std::optional<ssh::Certificate> certificate_beside(const fs::path& file, const ssh::PublicKey& key) {
    const auto path = certificate_file(file);
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(path, ignored)))
        return std::nullopt;
    const auto stamp = stamp_of(path);
    try { // caught to go on without the certificate
        const auto line = ssh::AuthorizedKey::read(path);
        auto certificate = ssh::Certificate::from_blob(line.blob);
        if (certificate.public_key == key) {
            if (certificate.has_expired())
                log::info(printable(path.string()), ": has expired; not listed");
            return certificate;
        }
        log::error(printable(path.string()), ": certifies another key than the one beside it; skipped");
    } catch (const Error& error) {
        if (!is_being_written(path, stamp))
            log::error(printable(error.about(path.string()).what()), "; skipped");
    }
    return std::nullopt;
}

keyfile::KeyFile load_key_file(const fs::path& file) {
    const auto content = read_file(file, keyfile::max_file_size);
    return naming(file.string(), [&] { return keyfile::parse_key_file(text_of(content)); });
}

} // namespace

std::string Identity::name() const {
    if (!file.empty())
        return printable(file.string());
    return "key '" + printable(comment) + "' (" + ssh::fingerprint(public_key.blob()) + ")";
}

fs::path certificate_file(fs::path file) {
    if (file.extension() == ".tpm" || file.extension() == ".pub")
        file.replace_extension();
    file += "-cert.pub";
    return file;
}

Identity make_identity(keyfile::KeyFile key, const std::string& fallback_comment) {
    keyfile::require_signing_key(key);
    auto public_key = to_public_key(key.public_area);
    ssh::Verifier verifier(public_key);
    auto comment = printable(key.description.empty() ? fallback_comment : key.description, 1024);
    return {.public_key = std::move(public_key),
            .verifier = std::move(verifier),
            .certificate = std::nullopt,
            .comment = std::move(comment),
            .key = std::make_shared<const keyfile::KeyFile>(std::move(key))};
}

void tell_fixed_hash(const Identity& identity) {
    const auto& area = identity.key->public_area;
    if (area.type == TPM2_ALG_RSA && keyfile::fixed_hash(area) == TPM2_ALG_SHA256)
        log::info(identity.name(), ": this key was made for signatures with SHA-256 only; "
                                   "rsa-sha2-512, which OpenSSH prefers, fails");
}

Identity load_identity(const fs::path& file) {
    const auto stamp = stamp_of(file); // before reading, so that a later change is noticed
    auto key = load_key_file(file);
    auto identity = naming(file.string(), [&] { return make_identity(std::move(key), file.string()); });
    identity.file = file;
    identity.stamp = stamp;
    identity.certificate = certificate_beside(file, identity.public_key);
    return identity;
}

} // namespace sshtpm::identity
