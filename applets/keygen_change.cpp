// SPDX-License-Identifier: MIT
// keygen -p and -c: change the PIN or the comment of a key.

#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "identity/sign.hpp"
#include "ssh/authorized_key.hpp"
#include "tpm/create.hpp"
#include "tpm/lockout.hpp"
#include "tpm/session.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

void refuse_stream(const fs::path& file, std::string hint) {
    if (is_stream(file))
        throw Error(Errc::unsupported, shown_name(file) + ": the changed key could not be written back to it",
                    std::move(hint));
}

[[noreturn]] void refuse_pin(const tpm::Tpm& tpm, const keyfile::KeyFile& key) {
    throw Error(Errc::auth, "the PIN is wrong; nothing was changed", tpm::wrong_pin_hint(tpm.context(), key));
}

/// Whether a key whose file says that it has no PIN may be tried without one. If the file is wrong, that
/// costs a try, and the last one is kept for a PIN.
bool may_try_without_pin(tpm::Tpm& tpm, const keyfile::KeyFile& key) {
    if (!tpm::counts_wrong_pins(key))
        return true;
    auto job = [](tpm::Tpm& opened) { return tpm::read_lockout(opened.context()); };
    const auto lockout = tpm.run(job);
    return !lockout.active && !lockout.last_try();
}

/// The old PIN, checked with a signature before the new one is asked for.
tpm::Auth right_pin(tpm::Tpm& tpm, const KeygenOptions& options, const identity::Identity& identity) {
    const auto& key = *identity.key;
    tpm::Auth auth;
    auto takes = [&](tpm::Tpm& opened) {
        const bool right = identity::takes_auth(opened, identity, auth);
        opened.keys().flush(); // the person may think for long, or stop with Ctrl-C
        return right;
    };
    if (!identity.needs_pin() && may_try_without_pin(tpm, key) && tpm.run(takes))
        return auth;
    auth = existing_pin(tpm, key, options.old_pin, "Enter old passphrase: ");
    auto refuse = [&](tpm::Tpm& opened) { refuse_pin(opened, key); };
    if (!tpm.run(takes))
        tpm.run(refuse);
    return auth;
}

std::string ask_comment(const KeygenOptions& options, const std::string& before) {
    if (before.empty())
        std::cout << "No existing comment\n";
    else
        std::cout << "Old comment: " << before << '\n';
    if (options.comment)
        return *options.comment;
    const auto answer = ask_line("New comment: ");
    if (!answer)
        throw Error(Errc::refused, "no comment was given", "-C gives one");
    return *answer;
}

/// For a key on standard input, which leaves no terminal to ask at.
const std::string& given_comment(const KeygenOptions& options) {
    if (!options.comment)
        throw Error(Errc::usage, "-c with -f - needs the comment with -C");
    return *options.comment;
}

void tell_comment(const std::string& comment) {
    if (comment.empty())
        std::cout << "Comment removed\n";
    else
        std::cout << "Comment '" << comment << "' applied\n";
}

/// The text of a key file with this key in place of the old one.
std::string rewritten(std::string_view text, const keyfile::KeyFile& key, const fs::path& file) {
    return naming(file.string(), [&] { return keyfile::to_key_file(key, text); });
}

/// The stamp of the .pub file; nothing unless it holds the line of this key and no other.
std::optional<FileStamp> own_public_half(const fs::path& pub, const ssh::PublicKey& key) {
    if (!is_there(pub))
        return std::nullopt;
    try { // caught because the file may hold something else
        const auto stamp = stamp_of(pub);
        const auto line = ssh::AuthorizedKey::parse_only_line(text_of(read_file(pub, ssh::max_public_file)));
        return equal(line.blob, key.blob()) ? std::optional(stamp) : std::nullopt;
    } catch (const Error& error) {
        log::info(printable(error.about(pub.string()).what()), "; left as it is");
        return std::nullopt;
    }
}

/// Rewrites the key file and, if it holds this key alone, the .pub file; both or neither.
void rewrite(const fs::path& file, const FileStamp& stamp, std::string_view text,
             const identity::Identity& identity) {
    StagedFile private_half(file, bytes_of(rewritten(text, *identity.key, file)), stamp);
    const auto pub = paths_for(file.string()).pub;
    const auto pub_stamp = own_public_half(pub, identity.public_key);
    if (!pub_stamp)
        return private_half.commit();
    StagedFile public_half(pub, bytes_of(public_line(*identity.key, identity.public_key)), *pub_stamp);
    put_in_place(private_half, public_half);
}

ssh::AuthorizedKey only_line(std::string_view text, const fs::path& file) {
    try { // caught to name the file
        return ssh::AuthorizedKey::parse_only_line(text);
    } catch (const Error& error) {
        throw Error(
            error.code(), file.string() + ": " + error.what(),
            "-c works on a file that holds one public key and nothing else; edit any other one by hand");
    }
}

/// For a .pub file; or for standard input, and then the result goes to standard output.
int change_comment_of_public(const KeygenOptions& options, const fs::path& file, const FileStamp& stamp,
                             std::string_view text) {
    auto line = only_line(text, file);
    if (file == "-") {
        line.comment = given_comment(options);
        std::cout << line.line();
        return 0;
    }
    line.comment = ask_comment(options, line.comment);
    require_comment(line.comment);
    rewrite_file(file, bytes_of(line.line()), stamp);
    tell_comment(line.comment);
    return 0;
}

} // namespace

identity::Identity change_pin(tpm::Tpm& tpm, const identity::Identity& identity, const tpm::Auth& before,
                              const tpm::Auth& after) {
    auto job = [&](tpm::Tpm& opened) {
        auto changed = tpm::change_auth(opened, *identity.key, before, after);
        if (!changed)
            refuse_pin(opened, *identity.key);
        auto out = identity::make_identity(std::move(*changed), identity.comment);
        if (!identity::takes_auth(opened, out, after))
            throw Error(Errc::tpm, "the TPM refuses the new PIN; nothing was changed");
        return out;
    };
    return tpm.run(job);
}

void warn_of_protection(const keyfile::KeyFile& key, const tpm::Auth& after) {
    const bool counted = tpm::counts_wrong_pins(key);
    if (!counted && after)
        log::info(
            "the TPM does not count wrong tries of this PIN, because the key was made with noDA, as keys "
            "without a PIN are; a new key that is made with a PIN is safer");
    if (counted && !after)
        log::info("wrong PINs of other keys can lock this key out, because it was made without noDA, as keys "
                  "with a PIN are");
}

int keygen_change_pin(const KeygenOptions& options) {
    const auto file = existing_key(options);
    refuse_stream(file, "copy it into a file first");
    const auto stamp = stamp_of(file); // before reading, so that a later change by another program is seen
    const auto content = read_file(file, keyfile::max_file_size);
    const auto identity = identity_of(parse_key(text_of(content), file), file);
    const auto tpm = options.tpm.open_tpm();
    const auto before = naming(file.string(), [&] { return right_pin(*tpm, options, identity); });
    if (!options.quiet)
        std::cout << "Key has comment '" << identity.key->description << "'\n";
    const auto after = changed_pin(options.pin);
    if (!after)
        return 1;
    const auto changed = naming(file.string(), [&] { return change_pin(*tpm, identity, before, *after); });
    rewrite_file(file, bytes_of(rewritten(text_of(content), *changed.key, file)), stamp);
    warn_of_protection(*changed.key, *after);
    if (!options.quiet)
        std::cout << "Your identification has been saved with the new passphrase.\n";
    return 0;
}

int keygen_change_comment(const KeygenOptions& options) {
    const auto file = existing_key(options);
    if (options.comment)
        require_comment(*options.comment);
    if (file != "-")
        refuse_stream(file, "-f - reads standard input and writes to standard output");
    const auto stamp = stamp_of(file);
    const auto content = read_file(file, keyfile::max_file_size, FileKind::any);
    if (!is_key_file(text_of(content)))
        return change_comment_of_public(options, file, stamp, text_of(content));
    auto key = parse_key(text_of(content), file);
    if (file == "-") {
        key.description = given_comment(options);
        std::cout << rewritten(text_of(content), key, file);
        return 0;
    }
    const auto before = key.description;
    key.description = ask_comment(options, before);
    require_comment(key.description);
    if (key.description == before) {
        std::cout << "No change to comment\n";
        return 0;
    }
    const auto identity = identity_of(std::move(key), file);
    rewrite(file, stamp, text_of(content), identity);
    tell_comment(identity.key->description);
    return 0;
}

} // namespace sshtpm::applets
