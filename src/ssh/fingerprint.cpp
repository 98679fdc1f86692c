// SPDX-License-Identifier: MIT
#include "ssh/fingerprint.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "ssh/certificate.hpp"
#include "ssh/digest.hpp"
#include "ssh/openssl.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <array>

namespace sshtpm::ssh {

namespace {

std::string with_colons(ByteView bytes) {
    std::string out;
    for (const auto& byte : bytes) {
        if (!out.empty())
            out += ':';
        out += hex({&byte, 1});
    }
    return out;
}

constexpr int columns = 17;
constexpr int rows = 9;

/// The symbols for 0, 1, 2 and more visits. The last two mark the squares where the walk starts and ends.
constexpr std::string_view symbols = " .o+=*BOX@%&#/^SE";
constexpr std::size_t most_visits = symbols.size() - 3;
constexpr std::size_t start_mark = symbols.size() - 2;
constexpr std::size_t end_mark = symbols.size() - 1;

using Field = std::array<std::array<std::size_t, columns>, rows>;

/// Each two bits of the digest, lowest first, move one step diagonally. A wall stops the move towards it.
Field walk(ByteView digest) {
    Field field{};
    int x = columns / 2;
    int y = rows / 2;
    for (const auto byte : digest) {
        for (unsigned shift = 0; shift < 8; shift += 2) {
            const unsigned step = byte >> shift;
            x = std::clamp(x + ((step & 1U) != 0 ? 1 : -1), 0, columns - 1);
            y = std::clamp(y + ((step & 2U) != 0 ? 1 : -1), 0, rows - 1);
            auto& visits = field[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)];
            visits = std::min(visits + 1, most_visits);
        }
    }
    field[rows / 2][columns / 2] = start_mark;
    field[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] = end_mark;
    return field;
}

/// "+----[RSA 3072]---+": an odd dash goes to the right.
std::string border(const std::string& text) {
    std::string line(columns + 2, '-');
    line.front() = line.back() = '+';
    return line.replace(1 + (columns - text.size()) / 2, text.size(), text);
}

/// ssh-keygen makes the title in a buffer of 17 characters with a NUL at the end. It leaves out the size only
/// if the title needs 18 characters, so "[ED25519-SK-CERT]" loses its bracket.
std::string title(const KeyDescription& key) {
    auto text = "[" + key.label + " " + std::to_string(key.bits) + "]";
    if (text.size() > columns)
        text = "[" + key.label + "]";
    return text.substr(0, columns - 1);
}

/// As OpenSSH makes its labels: "ssh-new@example.com" is "NEW".
/// @throws Error(unsupported) for a name that RFC 4251 section 6 does not allow
std::string label_of_unknown(std::string_view name) {
    constexpr std::size_t longest = 64;
    const auto may_be_named = [](char c) { return c > ' ' && c <= '~' && c != ','; };
    if (name.empty() || name.size() > longest || !std::ranges::all_of(name, may_be_named))
        unsupported("\"" + printable(name, longest) + "\" is no type of key");
    auto word = name.substr(0, name.find('@'));
    if (word.starts_with("ssh-"))
        word.remove_prefix(4);
    std::string label(word);
    std::ranges::transform(label, label.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return label;
}

} // namespace

std::optional<FingerprintHash> fingerprint_hash_named(std::string_view word) {
    if (same_word(word, "sha256"))
        return FingerprintHash::sha256;
    if (same_word(word, "md5"))
        return FingerprintHash::md5;
    return std::nullopt;
}

KeyDescription describe(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.text();
    if (const auto* format = key_format_named(name)) {
        const auto bits = read_key_fields(reader, *format);
        reader.expect_end();
        return {bits, std::string(format->label), copy_of(blob)};
    }
    if (key_format_of_certificate(name) == nullptr)
        return {.label = label_of_unknown(name), .plain_blob = copy_of(blob)};
    auto certificate = read_certificate(blob);
    return {certificate.bits, std::string(certificate.format->label) + "-CERT",
            std::move(certificate.plain_blob)};
}

Bytes fingerprint_digest(ByteView plain_blob, FingerprintHash hash) {
    if (hash == FingerprintHash::sha256)
        return digest(Hash::sha256, plain_blob);
    Bytes md5(16);
    openssl::require(
        EVP_Q_digest(nullptr, "MD5", nullptr, plain_blob.data(), plain_blob.size(), md5.data(), nullptr) == 1,
        Errc::unsupported, "OpenSSL has no MD5 here");
    return md5;
}

std::string fingerprint(ByteView plain_blob, FingerprintHash hash) {
    const auto bytes = fingerprint_digest(plain_blob, hash);
    return hash == FingerprintHash::md5 ? "MD5:" + with_colons(bytes)
                                        : "SHA256:" + base64_encode(bytes, Base64Padding::without);
}

std::string fingerprint_line(ByteView blob, std::string_view comment, FingerprintHash hash) {
    const auto key = describe(blob);
    const auto shown = comment.empty() ? "no comment" : printable(comment, comment.size());
    return std::to_string(key.bits) + " " + fingerprint(key.plain_blob, hash) + " " + shown + " (" +
           key.label + ")";
}

std::string randomart(const KeyDescription& key, FingerprintHash hash) {
    std::string picture = border(title(key)) + "\n";
    for (const auto& row : walk(fingerprint_digest(key.plain_blob, hash))) {
        picture += '|';
        for (const auto square : row)
            picture += symbols[square];
        picture += "|\n";
    }
    return picture + border(hash == FingerprintHash::md5 ? "[MD5]" : "[SHA256]");
}

} // namespace sshtpm::ssh
