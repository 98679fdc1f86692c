// keygen's modes that only read: fingerprints and public keys.

#include "applets/keygen.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "identity/convert.hpp"
#include "identity/identity.hpp"
#include "keyfile/usable.hpp"
#include "os/paths.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/randomart.hpp"

#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_public_file = 64 * 1024;

bool is_key_file(std::string_view text) {
    return text.find("-----BEGIN ") != std::string_view::npos;
}

PublicHalf public_half(const keyfile::KeyFile& key) {
    return {.blob = copy_of(identity::to_public_key(key.public_area).blob()), .comment = key.description};
}

/// The file as it was named, else with the ending that keygen gives it.
fs::path existing(const fs::path& path) {
    std::error_code ignored;
    if (fs::exists(path, ignored))
        return path;
    auto with_ending = path;
    with_ending += ".tpm";
    return fs::exists(with_ending, ignored) ? with_ending : path;
}

} // namespace

fs::path key_file_of(const KeygenOptions& options) {
    if (options.file)
        return existing(*options.file);
    for (const auto* name : {"id_ecdsa.tpm", "id_rsa.tpm"})
        if (auto path = os::ssh_folder() / name; fs::exists(path))
            return path;
    throw Error(Errc::not_found, "no key file in " + os::ssh_folder().string(), "name one with -f");
}

PublicHalf read_public_half(const fs::path& file) {
    const auto content = read_file(file, max_public_file);
    try { // caught to say which file it was
        if (is_key_file(text_of(content)))
            return public_half(keyfile::parse_pem(text_of(content)));
        auto line = ssh::AuthorizedKey::parse(text_of(content));
        return {.blob = std::move(line.blob), .comment = std::move(line.comment)};
    } catch (const Error& error) {
        throw error.about(file.string());
    }
}

int keygen_fingerprint(const KeygenOptions& options) {
    const auto key = read_public_half(key_file_of(options));
    std::cout << ssh::fingerprint_line(key.blob, key.comment, options.hash) << '\n';
    if (options.randomart)
        std::cout << ssh::randomart(ssh::describe(key.blob), options.hash) << '\n';
    return 0;
}

int keygen_print_public(const KeygenOptions& options) {
    const auto file = key_file_of(options);
    const auto key = public_half(identity::load_key_file(file));
    const auto type = ssh::info(ssh::PublicKey::from_blob(key.blob).type()).name;
    std::cout
        << ssh::AuthorizedKey{.type = std::string(type), .blob = key.blob, .comment = key.comment}.line();
    return 0;
}

} // namespace sshtpm::applets
