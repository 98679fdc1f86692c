// SPDX-License-Identifier: MIT
// keygen's main mode, which makes a key and asks as ssh-keygen does; and --supported.

#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "cli/options.hpp"
#include "identity/sign.hpp"
#include "keyfile/key_file.hpp"
#include "os/paths.hpp"
#include "tpm/create.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iostream>
#include <utility>

namespace sshtpm::applets {

namespace {

constexpr std::string_view ecdsa_type = "ecdsa", rsa_type = "rsa";

constexpr std::array<std::pair<std::string_view, KeyType>, 8> key_types{{
    {"ecdsa", {ecdsa_type, {}}},
    {"ecdsa-sha2-nistp256", {ecdsa_type, 256}},
    {"ecdsa-sha2-nistp384", {ecdsa_type, 384}},
    {"ecdsa-sha2-nistp521", {ecdsa_type, 521}},
    {"rsa", {rsa_type, {}}},
    {"ssh-rsa", {rsa_type, {}}},
    {"rsa-sha2-256", {rsa_type, {}}},
    {"rsa-sha2-512", {rsa_type, {}}},
}};

/// The reason why there is no such type here.
std::string_view why_not(std::string_view type) {
    const auto has = [type](std::string_view part) { return type.find(part) != std::string_view::npos; };
    if (has("-sk") || has("sk-"))
        return "ssh-keygen makes such keys, on FIDO devices";
    if (has("ed25519"))
        return "TPMs make no Ed25519 keys";
    if (type == "dsa" || type == "ssh-dss")
        return "TPMs make no DSA keys, and OpenSSH no longer takes them";
    return "no such type of key";
}

std::string_view type_of(const tpm::KeyAlgorithm& algorithm) {
    return algorithm.type == TPM2_ALG_ECC ? ecdsa_type : rsa_type;
}

/// A script that calls ssh-keygen expects the key in the file that it names. So it is there, and the name
/// that ends in .tpm, by which the agent finds it, is a link.
KeyPaths ask_paths(const KeygenOptions& options, std::string_view type) {
    const auto base = (os::ssh_folder() / ("id_" + std::string(type))).string();
    const auto path = options.file ? *options.file : ask_file("Enter file in which to save the key", base);
    auto paths = paths_for(path);
    if (options.as_openssh && paths.key != path)
        paths.link = std::exchange(paths.key, path);
    return paths;
}

} // namespace

tpm::KeyAlgorithm choose_algorithm(const KeyType& type, std::optional<unsigned> bits) {
    if (type.bits && bits && *type.bits != *bits)
        throw Error(Errc::usage,
                    "conflicting options: -t ecdsa-sha2-nistp" + std::to_string(*type.bits) + " and -b " +
                        std::to_string(*bits),
                    "leave -b out: the type has a size of its own");
    if (type.bits)
        bits = type.bits;
    std::string sizes;
    for (const auto& algorithm : tpm::usual_algorithms) {
        if (type_of(algorithm) != type.name)
            continue;
        if (!bits || tpm::bits_of(algorithm) == *bits)
            return algorithm;
        sizes += (sizes.empty() ? "" : ", ") + std::to_string(tpm::bits_of(algorithm));
    }
    throw Error(Errc::usage,
                "-b " + std::to_string(*bits) + ": no such size of " + std::string(type.name) + " key",
                "sizes are " + sizes);
}

KeyType parse_key_type(std::string_view word) {
    std::string type(word);
    std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
    for (const auto& [name, key_type] : key_types)
        if (type == name)
            return key_type;
    throw cli::NotOurs(
        Errc::usage, "-t " + std::string(word) + ": " + std::string(why_not(type)),
        "types are ecdsa and rsa; ecdsa, the default, makes a P-256 key, which is as strong as Ed25519");
}

void require_comment(const std::string& comment) {
    try { // caught to name the option
        keyfile::check_description(comment);
    } catch (const Error& error) {
        throw Error(Errc::usage, std::string("-C: ") + error.what());
    }
}

identity::Identity make_key(tpm::Tpm& tpm, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent) {
    // Two jobs: if the TPM is full when the key signs, the key does not have to be made again.
    auto create = [&](tpm::Tpm& opened) { return tpm::create_key(opened, algorithm, auth, parent); };
    auto key = tpm.run(create);
    key.description = comment;
    auto identity = identity::make_identity(std::move(key), comment);
    auto prove = [&](tpm::Tpm& opened) { identity::prove(opened, identity, auth); };
    tpm.run(prove);
    tell_parent(*identity.key, parent);
    return identity;
}

int keygen_create(const KeygenOptions& options) {
    const auto type = options.type.value_or(KeyType{.name = ecdsa_type, .bits = {}});
    const auto algorithm = choose_algorithm(type, options.bits);
    const auto& comment = options.comment.value();
    require_comment(comment);
    // Before the first question, so that a person does not answer for a key that cannot be made.
    const auto tpm = options.tpm.open_tpm();
    auto require_support = [&](tpm::Tpm& opened) {
        try { // caught to name the options
            tpm::require_support(opened.context(), algorithm);
        } catch (const Error& error) {
            throw error.code() == Errc::unsupported
                ? Error(error.code(), error.what(), error.hint() + "; -t and -b choose, such as -t rsa")
                : error;
        }
    };
    tpm->run(require_support);
    if (!options.quiet)
        std::cout << "Generating public/private " << type.name << " key pair.\n" << std::flush;

    const auto paths = ask_paths(options, type.name);
    make_ssh_folder(paths, options.quiet);
    require_place(paths);
    const auto existing = may_write(paths);
    if (!existing)
        return 1; // without a message, as ssh-keygen does
    // As in ssh-keygen, -P gives the new PIN too.
    const auto auth =
        new_pin(options.old_pin ? options.old_pin : options.pin,
                "Enter passphrase for \"" + paths.key.string() + "\" (empty for no passphrase): ");
    const auto identity = make_key(*tpm, algorithm, auth, comment, options.parent_or_owner());
    write_key(paths, *identity.key, identity.public_key, *existing, *existing);
    if (!options.quiet)
        show_key(paths, identity, options.hash);
    return 0;
}

int keygen_supported(const KeygenOptions& options) {
    const auto tpm = options.tpm.open_tpm();
    auto job = [](tpm::Tpm& opened) {
        std::string lines;
        const auto supported = tpm::supported_algorithms(opened.context());
        for (const std::string_view type : {ecdsa_type, rsa_type}) {
            std::string sizes;
            for (const auto& algorithm : supported)
                if (type_of(algorithm) == type)
                    sizes.append(" ").append(std::to_string(tpm::bits_of(algorithm)));
            if (!sizes.empty())
                lines.append(type).append(" bit lengths:").append(sizes).append("\n");
        }
        return lines;
    };
    std::cout << tpm->run(job);
    return 0;
}

} // namespace sshtpm::applets
