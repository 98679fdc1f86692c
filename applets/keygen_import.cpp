// SPDX-License-Identifier: MIT
// keygen --import and --wrap: keys that were made outside the TPM.

#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/pem.hpp"
#include "base/printable.hpp"
#include "identity/convert.hpp"
#include "identity/seal.hpp"
#include "keyfile/wrap.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/private_key.hpp"
#include "tpm/capability.hpp"
#include "tpm/create.hpp"
#include "tpm/session.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// The error with its file in front, unless it begins with it already.
Error about_source(const std::string& file, const Error& error) {
    return std::string_view(error.what()).starts_with(file) ? error : error.about(file);
}

/// Opens an outside key, asking for its passphrase as often as ssh-add would.
ssh::PrivateKey open_outside_key(const std::string& file, const Secret& content,
                                 const std::optional<Secret>& given) {
    auto opened = ssh::open_private_key(content, given ? &*given : nullptr);
    for (int tries = 0; !std::holds_alternative<ssh::PrivateKey>(opened); ++tries) {
        if (tries == most_tries || given)
            throw Error(Errc::auth, file + ": the passphrase is wrong");
        const auto passphrase =
            ask_existing_secret(tries == 0 ? "Enter passphrase for " + file + ": "
                                           : "Bad passphrase, try again for " + file + ": ",
                                "passphrase", "-P gives it");
        opened = ssh::open_private_key(content, &passphrase);
    }
    return std::get<ssh::PrivateKey>(std::move(opened));
}

/// The comment in the key file, else that of the .pub file beside it.
std::string comment_of(const ssh::PrivateKey& key, const fs::path& file) {
    if (!key.comment.empty())
        return printable(key.comment);
    auto pub = file;
    pub += ".pub";
    std::error_code ignored;
    if (!fs::exists(pub, ignored))
        return {};
    try { // caught because a comment is not worth failing for
        const auto line = ssh::AuthorizedKey::parse(text_of(read_file(pub, ssh::max_private_key_file)));
        return equal(line.blob, key.public_key.blob()) ? printable(line.comment) : std::string();
    } catch (const Error&) {
        return {};
    }
}

struct OutsideKey {
    ssh::PrivateKey key;
    std::string comment;
};

OutsideKey read_outside_key(const KeygenOptions& options, const Secret& content) {
    const fs::path file = options.source;
    try { // caught to say which file it was
        auto key = open_outside_key(shown_name(file), content, options.old_pin);
        auto comment = options.comment ? *options.comment : comment_of(key, file);
        require_comment(comment); // that of the key may be too long
        return {.key = std::move(key), .comment = std::move(comment)};
    } catch (const Error& error) {
        throw about_source(shown_name(file), error);
    }
}

/// Where the result goes. An outside key often has a .pub file of the same name as ours: it is kept if it
/// holds this key, and an error if it holds another.
struct Destination {
    KeyPaths paths;
    Existing existing = Existing::keep;
    std::optional<Existing> existing_pub = Existing::keep;
};

std::optional<Destination> choose_destination(const KeyPaths& paths, const ssh::PublicKey& key) {
    Destination out{.paths = paths};
    if (is_there(out.paths.pub)) {
        const auto line =
            ssh::AuthorizedKey::parse(text_of(read_file(out.paths.pub, ssh::max_private_key_file)));
        if (!equal(line.blob, key.blob()))
            throw Error(Errc::exists, out.paths.pub.string() + ": is another key's public half",
                        "choose another name with -f");
        out.existing_pub.reset();
    }
    if (!is_there(out.paths.key))
        return out;
    if (!confirm_overwrite(out.paths.key.string()))
        return std::nullopt;
    out.existing = Existing::replace;
    return out;
}

void write_imported(const Destination& destination, const KeygenOptions& options,
                    const identity::Identity& identity) {
    write_key(destination.paths, *identity.key, identity.public_key, destination.existing,
              destination.existing_pub);
    if (!options.quiet)
        show_key(destination.paths, identity, options.hash);
}

int import_outside_key(const KeygenOptions& options, const Secret& content, const KeyPaths& paths) {
    const auto tpm = options.tpm.open_tpm();
    const auto outside = read_outside_key(options, content);
    const auto destination = choose_destination(paths, outside.key.public_key);
    if (!destination)
        return 1;
    const auto ask_parent = [&](tpm::Tpm& opened) { // before a PIN is typed in vain
        const auto algorithm = identity::to_algorithm(outside.key.public_key);
        tpm::require_support(opened.context(), algorithm);
        return std::pair(tpm::storage_key_area(opened, options.parent_or_owner()),
                         tpm::rsa_use(opened.context(), algorithm.type));
    };
    const auto [storage_key, rsa_use] = tpm->run(ask_parent);
    const auto auth = new_pin(options.pin, "Enter new passphrase (empty for no passphrase): ");
    const auto wrapped = identity::wrap_for(storage_key, outside.key, auth, options.parent_or_owner(),
                                            outside.comment, rsa_use);
    const auto unwrap = [&](tpm::Tpm& opened) {
        return identity::unwrap(opened, wrapped, auth, outside.comment);
    };
    const auto identity = tpm->run(unwrap);
    tell_parent(*identity.key, options.parent_or_owner());
    write_imported(*destination, options, identity);
    if (!is_stream(options.source))
        log::info("the plaintext private key is still in ", printable(options.source),
                  ": remove it, and its backups, when you no longer need it");
    return 0;
}

int import_wrapped_key(const KeygenOptions& options, const keyfile::KeyFile& wrapped, const KeyPaths& paths) {
    if (options.parent)
        throw Error(Errc::usage, "option --parent-handle has no effect with a wrapped key",
                    "its file names the parent that it was wrapped for");
    if (wrapped.kind != keyfile::KeyKind::importable)
        throw Error(Errc::unsupported, options.source + ": is not a wrapped key", "it can be used as it is");
    const auto public_key = identity::to_public_key(wrapped.public_area);
    const auto destination = choose_destination(paths, public_key);
    if (!destination)
        return 1;
    const auto tpm = options.tpm.open_tpm();
    tpm::Auth auth; // the wrapped key contains its PIN, which is asked for only to try the key
    if (!wrapped.empty_auth)
        auth = existing_pin(*tpm, wrapped, options.old_pin, "Enter passphrase: ");
    auto to_import = wrapped;
    if (options.comment)
        to_import.description = *options.comment;
    const auto unwrap = [&](tpm::Tpm& opened) {
        return identity::unwrap(opened, to_import, auth, to_import.description);
    };
    auto identity = tpm->run(unwrap);
    tell_parent(*identity.key, wrapped.parent);
    if (options.pin) {
        const auto after = auth_of(*options.pin);
        identity = change_pin(*tpm, identity, auth, after);
        warn_of_protection(*identity.key, after);
    }
    write_imported(*destination, options, identity);
    return 0;
}

} // namespace

int keygen_import(const KeygenOptions& options) {
    require_comment(
        options.comment.value_or("")); // before a passphrase is asked for and the TPM works in vain
    if (!options.file && is_stream(options.source))
        throw Error(Errc::usage, "--import " + options.source + " needs -f FILE",
                    "the result goes to FILE.tpm and FILE.pub");
    const auto content = read_secret_file(options.source, ssh::max_private_key_file);
    const auto paths = paths_for(options.file.value_or(options.source));
    require_place(paths);
    const auto text = text_of(content.view());
    const auto found = naming(shown_name(options.source), [&] { return find_private_key(text); });
    if (!found || found->label != keyfile::pem_label)
        return import_outside_key(options, content, paths);
    try { // caught to say which file it was
        return import_wrapped_key(options, keyfile::parse_pem(text), paths);
    } catch (const Error& error) {
        throw about_source(shown_name(options.source), error);
    }
}

int keygen_wrap(const KeygenOptions& options) {
    if (options.wrap_with.empty() || !options.file)
        throw Error(Errc::usage, "--wrap needs --wrap-with PARENT and -f OUT");
    require_comment(
        options.comment.value_or("")); // before a passphrase is asked for and the TPM works in vain
    const auto content = read_secret_file(options.source, ssh::max_private_key_file);
    const auto paths = paths_for(*options.file);
    require_place(paths);
    const auto outside = read_outside_key(options, content);
    const auto parent = read_file(options.wrap_with, keyfile::max_file_size, FileKind::any);
    const auto storage_key = naming(options.wrap_with, [&] { return keyfile::parse_parent(parent); });
    const auto existing = may_write(paths);
    if (!existing)
        return 1;
    const auto auth = new_pin(options.pin, "Enter new passphrase (empty for no passphrase): ");
    const auto wrapped =
        identity::wrap_for(storage_key, outside.key, auth, options.parent_or_owner(), outside.comment,
                           tpm::RsaUse::sign_and_decrypt); // that TPM may lack SHA-512
    write_key(paths, wrapped, outside.key.public_key, *existing, *existing);
    if (!options.quiet)
        std::cout << "The wrapped key has been saved in " << paths.key.string() << '\n'
                  << "On the machine that it is for, ssh-tpm keygen --import makes it usable.\n";
    return 0;
}

} // namespace sshtpm::applets
