// keygen -l, -y and --print-pubkey: fingerprints and public keys, of files and of standard input.

#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "identity/convert.hpp"
#include "keyfile/usable.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <algorithm>
#include <iostream>
#include <optional>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// The key in a line of a .pub, authorized_keys or known_hosts file, where options or names may come first.
std::optional<ssh::AuthorizedKey> find_key(std::string_view line) {
    constexpr std::string_view blank = " \t";
    for (auto rest = line; !rest.empty();) {
        rest.remove_prefix(std::min(rest.find_first_not_of(blank), rest.size()));
        try { // caught to try again after the next word
            return ssh::AuthorizedKey::parse(rest);
        } catch (const Error&) {
            rest.remove_prefix(std::min(rest.find_first_of(blank), rest.size()));
        }
    }
    return std::nullopt;
}

/// The key of a .tpm file, or those of a .pub or authorized_keys file, one a line.
std::vector<ssh::AuthorizedKey> public_halves(std::string_view text, const fs::path& file) {
    if (is_key_file(text)) {
        const auto key = parse_key(text, file);
        return {ssh::AuthorizedKey::of(identity::to_public_key(key.public_area), key.description)};
    }
    std::vector<ssh::AuthorizedKey> keys;
    while (!text.empty()) {
        const auto line = take_line(text);
        if (line.starts_with('#'))
            continue;
        if (auto key = find_key(line))
            keys.push_back(std::move(*key));
    }
    if (keys.empty())
        throw Error(Errc::malformed, file.string() + " is not a public key file");
    return keys;
}

std::vector<ssh::AuthorizedKey> read_public_halves(const KeygenOptions& options) {
    const auto file = existing_key(options);
    const auto content = read_text(file);
    return public_halves(text_of(content), file);
}

} // namespace

int keygen_fingerprint(const KeygenOptions& options) {
    for (const auto& key : read_public_halves(options)) {
        std::cout << ssh::fingerprint_line(key.blob, key.comment, options.hash) << '\n';
        if (options.randomart)
            std::cout << ssh::randomart(ssh::describe(key.blob), options.hash) << '\n';
    }
    return 0;
}

int keygen_print_public(const KeygenOptions& options) {
    for (const auto& key : read_public_halves(options))
        std::cout << key.line();
    return 0;
}

} // namespace sshtpm::applets
