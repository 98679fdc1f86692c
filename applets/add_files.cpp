// SPDX-License-Identifier: MIT
#include "applets/add_files.hpp"

#include "applets/keygen_files.hpp"
#include "applets/tpm_key_file.hpp"
#include "base/error.hpp"
#include "base/pem.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "os/paths.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view key_ending = ".tpm", public_ending = ".pub";

/// The name without its ending.
std::string stem_of(std::string name) {
    for (const auto ending : {key_ending, public_ending})
        if (name.size() > ending.size() && name.ends_with(ending)) {
            name.resize(name.size() - ending.size());
            break;
        }
    return name;
}

/// A private key that is not in a TPM, in a format that ssh-add reads.
bool is_ordinary_key(std::string_view text) {
    const auto found = find_private_key(text);
    return found && !is_tpm_key(*found);
}

void refuse_ordinary_key(std::string_view text, const std::string& file) {
    if (is_ordinary_key(text))
        throw Error(Errc::unsupported, "an ordinary private key, not a TPM key",
                    "ssh-add gives it to the agent, which seals it for as long as it runs; "
                    "`ssh-tpm-keygen --import " +
                        (file == "-" ? "FILE" : shell_word(file)) + "` seals it for good");
    if (!is_key_file(text))
        throw Error(Errc::malformed, "not a key file", "the private key is in a file that ends in .tpm");
}

/// Writes the key for an agent. The comment is in the DER, where the Go program ssh-tpm-agent reads it.
/// ssh-add uses the file's name if a key has no comment; the agent does not know the name.
std::string text_to_send(keyfile::KeyFile key, std::string_view text, const std::string& comment) {
    if (key.legacy != keyfile::Legacy::none)
        return std::string(text);
    if (key.description.empty())
        key.description = comment;
    return encode_pem(keyfile::to_der(key), keyfile::pem_label);
}

PublicHalf half_of_line(std::string_view text, const std::string& file) {
    return naming(file, [&] {
        auto line = ssh::AuthorizedKey::parse(text);
        const bool plain = equal(ssh::describe(line.blob).plain_blob, line.blob);
        return PublicHalf{.blob = std::move(line.blob),
                          .comment = std::move(line.comment),
                          .shown = file,
                          .certificate_file = plain ? identity::certificate_file(file) : fs::path()};
    });
}

PublicHalf half_of_key(std::string_view text, const std::string& file) {
    const auto identity = identity_of(parse_key(text, file), file);
    return {.blob = copy_of(identity.public_key.blob()),
            .comment = identity.comment,
            .shown = file,
            .certificate_file = identity::certificate_file(file)};
}

} // namespace

KeyToAdd read_key_to_add(const std::string& name) {
    const auto file = key_file_named(name), shown = shown_name(file);
    const auto content = read_file(file, keyfile::max_file_size, FileKind::any);
    const auto text = text_of(content);
    naming(shown, [&] { refuse_ordinary_key(text, file); });
    constexpr std::size_t longest_comment = 200;
    auto identity = identity_of(parse_key(text, shown), shown);
    auto sent = text_to_send(*identity.key, text, printable(shown, longest_comment));
    return {.identity = std::move(identity),
            .text = std::move(sent),
            .shown = shown,
            .certificate_file = name == "-" ? fs::path() : identity::certificate_file(file)};
}

std::optional<PublicHalf> read_public_file(const fs::path& file) {
    if (!is_there(file))
        return std::nullopt;
    const auto content = read_file(file, ssh::max_public_file);
    return half_of_line(text_of(content), file.string());
}

PublicHalf read_public_half(const std::string& name) {
    const auto file = key_file_named(name);
    if (is_there(file)) {
        const auto content = read_file(file, ssh::max_public_file, FileKind::any);
        const auto text = text_of(content);
        if (!is_key_file(text))
            return half_of_line(text, file);
        if (!is_ordinary_key(text))
            return half_of_key(text, file);
    }
    if (auto half = read_public_file(stem_of(name) + std::string(public_ending)))
        return std::move(*half);
    throw Error(Errc::not_found, name + ": there is neither a key file nor a public key");
}

std::vector<std::string> default_files(bool public_too) {
    std::vector<std::string> files;
    const auto folder = os::ssh_folder();
    for (const auto name : default_key_names) {
        const auto stem = (folder / name).string();
        for (const auto ending : {key_ending, public_ending})
            if (is_there(stem + std::string(ending)) && (public_too || ending == key_ending)) {
                files.push_back(stem + std::string(ending));
                break;
            }
    }
    if (files.empty())
        throw Error(Errc::not_found,
                    "no key: there is neither " + (folder / "id_ecdsa.tpm").string() + " nor id_rsa.tpm",
                    "name a file, or make a key with ssh-tpm-keygen");
    return files;
}

} // namespace sshtpm::applets
