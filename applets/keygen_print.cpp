// SPDX-License-Identifier: MIT
// keygen -l, -y and --print-pubkey: fingerprints and public keys, of files and of standard input.

#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "identity/convert.hpp"
#include "keyfile/usable.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_listed = std::size_t{64} * 1024 * 1024; // known_hosts files can be long

/// The key of a .tpm file, or those of a text with one key a line.
std::vector<ssh::ListedKey> listed_keys(std::string_view text, const fs::path& file) {
    if (is_key_file(text)) {
        const auto key = parse_key(text, shown_name(file));
        return {{.key = ssh::AuthorizedKey::of(identity::to_public_key(key.public_area), key.description),
                 .shown = key.description}};
    }
    auto keys = ssh::find_keys(text);
    if (keys.empty())
        throw Error(Errc::malformed, shown_name(file) + " is not a public key file");
    return keys;
}

std::vector<ssh::ListedKey> read_listed_keys(const KeygenOptions& options) {
    const auto file = existing_key(options);
    const auto content = read_file(file, max_listed, FileKind::any);
    return listed_keys(text_of(content), file);
}

} // namespace

int keygen_fingerprint(const KeygenOptions& options) {
    for (const auto& [key, shown] : read_listed_keys(options)) {
        std::cout << ssh::fingerprint_line(key.blob, shown, options.hash) << '\n';
        if (options.randomart)
            std::cout << ssh::randomart(ssh::describe(key.blob), options.hash) << '\n';
    }
    return 0;
}

int keygen_print_public(const KeygenOptions& options) {
    for (const auto& listed : read_listed_keys(options))
        std::cout << listed.key.line();
    return 0;
}

} // namespace sshtpm::applets
