// keygen -l, -y and --print-pubkey: fingerprints and public keys, of files and of standard input.

#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "identity/convert.hpp"
#include "keyfile/usable.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/text.hpp"

#include <iostream>
#include <optional>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_listed = std::size_t{64} * 1024 * 1024; // known_hosts files can be long

/// A key in a file, and its comment for -l.
struct ListedKey {
    ssh::AuthorizedKey key;
    std::string shown;
};

std::optional<ssh::AuthorizedKey> key_at(std::string_view text) {
    try { // caught because something else may be there
        auto key = ssh::AuthorizedKey::parse(text);
        ssh::describe(key.blob);
        return key;
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// Removes the first word from the text. Blanks within double quotes belong to it. @returns the word
std::string_view take_options(std::string_view& text) {
    bool quoted = false;
    std::size_t at = 0;
    for (; at < text.size() && (quoted || (text[at] != ' ' && text[at] != '\t')); ++at) {
        if (text[at] == '"')
            quoted = !quoted;
        else if (text.substr(at).starts_with("\\\""))
            ++at;
    }
    const auto word = text.substr(0, at);
    text.remove_prefix(at);
    return word;
}

/// The key in a line of a .pub, authorized_keys or known_hosts file. As in ssh-keygen, the names or options
/// in front of a key are shown if no comment follows it, and markers and keys of unknown types are skipped.
std::optional<ListedKey> find_key(std::string_view line) {
    line = line.substr(0, line.find_first_of(std::string_view("\r\0", 2)));
    std::string_view in_front;
    auto key = key_at(line);
    if (!key) {
        ssh::skip_blanks(line);
        in_front = take_options(line);
        key = key_at(line);
    }
    if (!key)
        return std::nullopt;
    const bool without_comment = key->comment.empty() || key->comment.starts_with('#');
    auto shown = without_comment ? std::string(in_front) : key->comment;
    return ListedKey{.key = std::move(*key), .shown = std::move(shown)};
}

/// The key of a .tpm file, or those of a text with one key a line.
std::vector<ListedKey> listed_keys(std::string_view text, const fs::path& file) {
    if (is_key_file(text)) {
        const auto key = parse_key(text, shown_name(file));
        return {{.key = ssh::AuthorizedKey::of(identity::to_public_key(key.public_area), key.description),
                 .shown = key.description}};
    }
    std::vector<ListedKey> keys;
    skip_byte_order_mark(text);
    while (!text.empty()) {
        const auto line = take_line(text);
        if (line.starts_with('#'))
            continue;
        if (auto key = find_key(line))
            keys.push_back(std::move(*key));
    }
    if (keys.empty())
        throw Error(Errc::malformed, shown_name(file) + " is not a public key file");
    return keys;
}

std::vector<ListedKey> read_listed_keys(const KeygenOptions& options) {
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
