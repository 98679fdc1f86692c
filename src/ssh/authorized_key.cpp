// SPDX-License-Identifier: MIT
#include "ssh/authorized_key.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"

#include <optional>
#include <utility>

namespace sshtpm::ssh {

namespace {

/// Characters that some readers take for the end of a line.
constexpr std::string_view line_ends("\r\n\0", 3);

void require_one_line(std::string_view text) {
    if (text.find_first_of(line_ends) != std::string_view::npos)
        malformed("the end of a line within the comment of a public key");
}

std::string_view first_key_line(std::string_view text) {
    skip_byte_order_mark(text);
    while (!text.empty()) {
        auto line = take_line(text);
        skip_blanks(line);
        if (!line.empty() && line.front() != '#')
            return line;
    }
    malformed("no public key in the text");
}

std::optional<AuthorizedKey> key_at(std::string_view text) {
    try { // caught because something else may be there
        auto key = AuthorizedKey::parse(text);
        describe(key.blob); // refuses unknown types
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
    text.remove_prefix(word.size());
    return word;
}

std::optional<ListedKey> find_key(std::string_view line) {
    line = line.substr(0, line.find_first_of(line_ends));
    std::string_view in_front;
    auto key = key_at(line);
    if (!key) {
        skip_blanks(line);
        in_front = take_options(line);
        key = key_at(line);
    }
    if (!key)
        return std::nullopt;
    const bool without_comment = key->comment.empty() || key->comment.starts_with('#');
    auto shown = without_comment ? std::string(in_front) : key->comment;
    return ListedKey{.key = std::move(*key), .shown = std::move(shown)};
}

} // namespace

AuthorizedKey AuthorizedKey::parse(std::string_view text) {
    auto rest = first_key_line(text);
    require_one_line(rest);
    const auto type = take_word(rest);
    auto blob = base64_decode(take_word(rest));
    if (wire::Reader(blob).text() != type)
        malformed("the type in front of a public key differs from the type inside it");
    return {std::string(type), std::move(blob), std::string(rest)};
}

AuthorizedKey AuthorizedKey::read(const std::filesystem::path& file) {
    return parse(text_of(read_file(file, max_public_file)));
}

AuthorizedKey AuthorizedKey::parse_only_line(std::string_view text) {
    auto key = parse(text);
    bool found = false;
    while (!text.empty()) {
        auto line = take_line(text);
        skip_blanks(line);
        if (!line.empty() && std::exchange(found, true))
            malformed("holds other lines beside a public key");
    }
    return key;
}

AuthorizedKey AuthorizedKey::of(const PublicKey& key, std::string comment) {
    return {std::string(info(key.type()).name), copy_of(key.blob()), std::move(comment)};
}

std::string AuthorizedKey::text() const {
    require_one_line(comment);
    auto text = type + " " + base64_encode(blob);
    if (!comment.empty())
        text += " " + comment;
    return text;
}

std::vector<ListedKey> find_keys(std::string_view text) {
    std::vector<ListedKey> keys;
    skip_byte_order_mark(text);
    while (!text.empty()) {
        auto line = take_line(text);
        skip_blanks(line);
        if (line.starts_with('#'))
            continue;
        if (auto key = find_key(line))
            keys.push_back(std::move(*key));
    }
    return keys;
}

} // namespace sshtpm::ssh
