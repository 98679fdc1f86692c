// SPDX-License-Identifier: MIT
// Key files of ssh-tpm-agent 0.1 and 0.2, which did not use the TSS2 PRIVATE KEY format yet. The PEM block
// contains:
//
//     0.1: u8 version, u8 PIN status, TPM2B_PUBLIC, TPM2B_PRIVATE
//     0.2: u8 version, u8 PIN status, u16 algorithm (TPM2_ALG_ECDSA or TPM2_ALG_RSA), TPM2B_PUBLIC,
//          TPM2B_PRIVATE, and the rest is the comment

#include "base/error.hpp"
#include "base/pem.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"

#include <cstdint>
#include <utility>

namespace sshtpm::keyfile {

namespace {

constexpr std::string_view label_0_1 = "TPM EC PRIVATE KEY";
constexpr std::string_view label_0_2 = "TPM PRIVATE KEY";

constexpr std::uint8_t only_version = 1; ///< of both releases
constexpr std::uint8_t no_pin = 0;
constexpr std::uint8_t has_pin = 1;

Legacy release_of(std::string_view text) {
    const auto found = find_private_key(text);
    if (found && found->label == label_0_1)
        return Legacy::release_0_1;
    return found && found->label == label_0_2 ? Legacy::release_0_2 : Legacy::none;
}

std::string_view label_of(Legacy release) {
    return release == Legacy::release_0_1 ? label_0_1 : label_0_2;
}

/// Removes the first bytes from `rest`.
ByteView take(ByteView& rest, std::size_t size, const char* field) {
    if (rest.size() < size)
        malformed(std::string("the key is cut short in its ") + field);
    const auto taken = rest.first(size);
    rest = rest.subspan(size);
    return taken;
}

std::uint16_t take_uint16(ByteView& rest, const char* field) {
    const auto bytes = take(rest, 2, field);
    return static_cast<std::uint16_t>(bytes[0] << 8U | bytes[1]);
}

/// Removes a TPM2B from the front of `rest`. @returns it with its size field
ByteView take_tpm2b(ByteView& rest, const char* field) {
    auto ahead = rest;
    return take(rest, 2 + std::size_t{take_uint16(ahead, field)}, field);
}

/// Removes the algorithm from the front of `rest`. @returns the type that the public area must have
TPMI_ALG_PUBLIC take_key_type(ByteView& rest, Legacy release) {
    if (release == Legacy::release_0_1)
        return TPM2_ALG_ECC;
    const auto algorithm = take_uint16(rest, "algorithm");
    if (algorithm != TPM2_ALG_ECDSA && algorithm != TPM2_ALG_RSA)
        unsupported("a key of the algorithm " + algorithm_name(algorithm) +
                    ", where ECDSA and RSA are known");
    return algorithm == TPM2_ALG_ECDSA ? TPM2_ALG_ECC : TPM2_ALG_RSA;
}

KeyFile parse_legacy(std::string_view text, Legacy release) {
    if (text.size() > max_file_size)
        malformed("larger than " + std::to_string(max_file_size) + " bytes");
    const auto block = decode_pem(text, label_of(release));
    ByteView rest = block.content;
    const auto version = take(rest, 1, "version")[0];
    if (version != only_version)
        unsupported("version " + std::to_string(version) + " of the format, where 1 is known");
    const auto pin_status = take(rest, 1, "PIN status")[0];
    if (pin_status != no_pin && pin_status != has_pin)
        malformed("a PIN status of " + std::to_string(pin_status) + ", where 0 and 1 are known");

    KeyFile key;
    key.legacy = release;
    key.empty_auth = pin_status == no_pin;
    const auto type = take_key_type(rest, release);
    key.public_area = unmarshal_public(take_tpm2b(rest, "public area"));
    if (key.public_area.type != type)
        malformed("a public area of type " + algorithm_name(key.public_area.type) + " in a file that says " +
                  algorithm_name(type));
    key.private_area = unmarshal_private(take_tpm2b(rest, "private area"));
    if (release == Legacy::release_0_1 && !rest.empty())
        malformed("bytes after the private area (" + std::to_string(rest.size()) + ")");
    check_description(text_of(rest));
    key.description = text_of(rest);
    return key;
}

std::string to_legacy_pem(const KeyFile& key) {
    const bool with_comment = key.legacy == Legacy::release_0_2;
    if (!with_comment && !key.description.empty())
        unsupported("a key file of ssh-tpm-agent 0.1 has no place for a comment");
    check_description(key.description);
    Bytes content{only_version, key.empty_auth ? no_pin : has_pin};
    if (with_comment)
        append(content, key.public_area.type == TPM2_ALG_RSA ? Bytes{0x00, TPM2_ALG_RSA}
                                                             : Bytes{0x00, TPM2_ALG_ECDSA});
    append(content, marshal_public(key.public_area));
    append(content, marshal_private(key.private_area));
    append(content, bytes_of(key.description));
    return encode_pem(content, label_of(key.legacy));
}

} // namespace

bool is_legacy(std::string_view text) {
    return release_of(text) != Legacy::none;
}

KeyFile parse_key_file(std::string_view text) {
    const auto release = release_of(text);
    return release == Legacy::none ? parse_pem(text) : parse_legacy(text, release);
}

std::string to_key_file(const KeyFile& key) {
    return key.legacy == Legacy::none ? to_pem(key) : to_legacy_pem(key);
}

std::string to_key_file(const KeyFile& key, std::string_view before) {
    const auto found = find_private_key(before);
    const auto old = decode_pem(before, found ? found->label : pem_label);
    if (key.legacy != Legacy::none) // the comment is in the block
        return std::string(old.before) + to_key_file(key) + std::string(old.after);
    const auto before_block = take_comments(old.before);
    if (before_block.comments.size() > 1)
        malformed("several lines \"" + std::string(comment_prefix) + "…\" in front of the key");
    auto text = before_block.rest + to_key_file(key) + std::string(old.after);
    if (parse_pem(text).description != key.description)
        malformed("the key's comment would be lost: a PEM block in front of the key has no END line",
                  "put the key alone into the file");
    return text;
}

} // namespace sshtpm::keyfile
