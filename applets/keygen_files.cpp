// SPDX-License-Identifier: MIT
#include "applets/keygen_files.hpp"

#include "applets/host_units.hpp"
#include "applets/keygen_dialogue.hpp"
#include "applets/tpm_key_file.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "identity/sign.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/names.hpp"
#include "os/harden.hpp"
#include "os/paths.hpp"
#include "os/signals.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view key_file_ending = ".tpm";

fs::path default_key(const std::optional<KeyType>& type) {
    const auto folder = os::ssh_folder();
    if (type)
        return folder / ("id_" + std::string(type->name) + ".tpm");
    for (const auto name : default_key_names)
        if (auto file = folder / name; is_there(file += key_file_ending))
            return file;
    return (folder / default_key_names.front()) += key_file_ending;
}

bool is_link_to_key(const KeyPaths& paths) {
    std::error_code none;
    return fs::read_symlink(paths.link, none) == paths.key.filename();
}

/// Whether the .pub file is that of this key. @throws Error naming the file
bool holds(const fs::path& pub, const ssh::PublicKey& key) {
    const auto text = read_file(pub, ssh::max_public_file);
    const auto line = naming(pub.string(), [&] { return ssh::AuthorizedKey::parse(text_of(text)); });
    return equal(line.blob, key.blob());
}

} // namespace

KeyPaths host_key_paths(const fs::path& folder, const identity::HostKeyType& type) {
    return paths_for(
        (folder / (std::string(identity::host_key_prefix) + std::string(type.word) + "_key")).string());
}

void require_writable(const fs::path& folder) {
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        throw Error(errno == EACCES ? Errc::permission : Errc::io,
                    folder.string() + ": " + std::strerror(errno),
                    "the keys are written there: run it as root, on a writable file system");
}

std::string key_file_named(const std::string& name) {
    const auto longer = name + std::string(key_file_ending);
    return name != "-" && !name.ends_with(key_file_ending) && is_there(longer) && !has_tpm_key(name) ? longer
                                                                                                     : name;
}

bool is_stream(const fs::path& file) {
    std::error_code ignored;
    return file == "-" || file.string().starts_with("/dev/") || fs::is_other(file, ignored);
}

KeyPaths paths_for(const std::string& path) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored))
        throw Error(Errc::usage, path + ": is a directory",
                    "name a file in it, such as " + (fs::path(path) / "id_ecdsa").string());
    auto stem = path;
    if (stem.ends_with(key_file_ending))
        stem.resize(stem.size() - key_file_ending.size());
    const auto name = fs::path(stem).filename();
    if (name.empty() || name == "." || name == "..")
        throw Error(Errc::usage, "\"" + path + "\" names no file");
    return {.key = stem + std::string(key_file_ending), .pub = stem + ".pub"};
}

void require_place(const KeyPaths& paths) {
    const auto folder = paths.key.has_parent_path() ? paths.key.parent_path() : fs::path(".");
    for (const auto& path : {paths.key, paths.pub}) {
        struct stat status = {};
        if (::lstat(path.c_str(), &status) != 0 && errno == ENAMETOOLONG)
            throw Error(Errc::usage, "this name is too long: " + path.string(),
                        "a file name has at most 255 bytes with its ending, a whole path 4095");
        if (S_ISDIR(status.st_mode))
            throw Error(Errc::exists, path.string() + ": is a directory", "choose another name with -f");
    }
    if (!paths.link.empty() && is_there(paths.link) && !is_link_to_key(paths))
        throw Error(Errc::exists,
                    paths.link.string() + ": another key has this name, by which the agent finds it",
                    "choose another name with -f, or remove that key");
    if (::access((folder / ".").c_str(), W_OK | X_OK) != 0)
        throw Error::from_errno(errno, folder.string());
}

fs::path existing_key(const KeygenOptions& options) {
    if (options.file)
        return key_file_named(*options.file);
    const auto usual = default_key(options.type);
    auto answer = ask_file("Enter file in which the key is", usual.string());
    if (options.as_openssh && !names_tpm_key(answer))
        throw Error(Errc::unsupported, answer + ": not the file of a TPM key",
                    "-f " + answer + " hands it to OpenSSH's ssh-keygen");
    return key_file_named(answer);
}

void make_ssh_folder(const KeyPaths& paths, bool quiet) {
    const auto folder = os::ssh_folder();
    if (paths.key.parent_path() == folder && make_folder(folder, 0700) && !quiet)
        std::cout << "Created directory '" << folder.string() << "'.\n";
}

std::optional<Existing> may_write(const KeyPaths& paths) {
    for (const auto& path : {paths.key, paths.pub})
        if (is_there(path))
            return confirm_overwrite(path.string()) ? std::optional(Existing::replace) : std::nullopt;
    return Existing::keep;
}

std::string public_line(const keyfile::KeyFile& key, const ssh::PublicKey& public_key) {
    return ssh::AuthorizedKey::of(public_key, key.description).line();
}

bool is_missing(const fs::path& file) {
    std::error_code failure;
    return !is_there(file) || (fs::file_size(file, failure) == 0 && !failure);
}

bool complete_public_file(const fs::path& pub, const identity::Identity& identity, const std::string& whose) {
    // Asked before the other: a file that another run writes meanwhile is kept.
    const auto existing = is_there(pub) ? Existing::replace : Existing::keep;
    if (existing == Existing::keep || is_missing(pub)) {
        try { // caught because another run may have been faster
            write_file(pub, bytes_of(public_line(*identity.key, identity.public_key)), public_mode, existing);
            return true;
        } catch (const Error& error) {
            if (error.code() != Errc::exists)
                throw;
        }
    }
    constexpr const char* remedy = "remove it, or move it away, to have the right one written";
    try { // caught for the hint
        if (holds(pub, identity.public_key))
            return false;
    } catch (const Error& error) {
        if (error.code() != Errc::malformed)
            throw;
        throw Error(error.code(), error.what(), remedy);
    }
    throw Error(Errc::exists, pub.string() + ": holds another key than " + whose, remedy);
}

identity::Identity derive_host_key(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy,
                                   const identity::HostKeyType& type, const std::string& comment) {
    auto make = [&](tpm::Tpm& opened) {
        return identity::hierarchy_identity(opened, hierarchy, type, comment);
    };
    auto identity = tpm.run(make);
    auto prove = [&](tpm::Tpm& opened) {
        identity::prove(opened, identity, nullptr);
        opened.keys().flush();
    };
    tpm.run(prove);
    return identity;
}

void put_in_place(StagedFile& private_half, StagedFile& public_half) {
    const os::BlockedSignals until_done; // or an old private key could stay under a temporary name
    commit(private_half, public_half);
}

void write_key(const KeyPaths& paths, const keyfile::KeyFile& key, const ssh::PublicKey& public_key,
               Existing existing, std::optional<Existing> existing_pub) {
    StagedFile private_half(paths.key, bytes_of(keyfile::to_key_file(key)), private_mode, existing);
    if (!existing_pub)
        return private_half.commit();
    const auto mode = public_mode & ~os::umask_at_start(); // as ssh-keygen
    StagedFile public_half(paths.pub, bytes_of(public_line(key, public_key)), mode, *existing_pub);
    const bool links = !paths.link.empty() && !is_link_to_key(paths);
    if (links && ::symlink(paths.key.filename().c_str(), paths.link.c_str()) != 0)
        throw Error::from_errno(errno, paths.link.string());
    try { // caught to leave nothing behind
        put_in_place(private_half, public_half);
    } catch (const Error&) {
        if (links)
            ::unlink(paths.link.c_str());
        throw;
    }
}

void tell_parent(const keyfile::KeyFile& key, TPM2_HANDLE asked) {
    if (key.parent != asked)
        log::info(
            "the key is under the TPM's key at ", keyfile::handle_name(key.parent),
            ", which is not known to be the owner's standard storage key: the key is lost if that one is "
            "removed; with the owner password (-o) a key is made under the standard one");
}

void show_key(const KeyPaths& paths, const identity::Identity& identity, ssh::FingerprintHash hash) {
    const auto blob = identity.public_key.blob();
    std::cout << "Your identification has been saved in " << paths.key.string() << '\n'
              << "Your public key has been saved in " << paths.pub.string() << '\n'
              << "The key fingerprint is:\n"
              << ssh::fingerprint(blob, hash) << ' ' << identity.key->description << '\n'
              << "The key's randomart image is:\n"
              << ssh::randomart(ssh::describe(blob), hash) << '\n';
}

keyfile::KeyFile parse_key(std::string_view text, const fs::path& file) {
    auto key = naming(file.string(), [&] { return keyfile::parse_key_file(text); });
    if (key.legacy != keyfile::Legacy::none)
        log::info(printable(file.string()), ": made by ssh-tpm-agent ",
                  key.legacy == keyfile::Legacy::release_0_1 ? "0.1" : "0.2",
                  "; it cannot be moved to the standard parent (fixedParent): make a new key to replace it");
    return key;
}

identity::Identity identity_of(keyfile::KeyFile key, const fs::path& file) {
    auto identity =
        naming(file.string(), [&] { return identity::make_identity(std::move(key), file.string()); });
    identity.file = file;
    return identity;
}

identity::Identity read_identity(const fs::path& file) {
    return identity_of(parse_key(text_of(read_file(file, keyfile::max_file_size)), file), file);
}

bool is_damage(const Error& error, const fs::path& file) {
    std::error_code ignored;
    return (error.code() == Errc::malformed || error.code() == Errc::unsupported) &&
           fs::is_regular_file(file, ignored);
}

Error without_private_half(const KeyPaths& paths, const std::string& command) {
    return {Errc::exists,
            paths.pub.string() + ": is there without its private half, " + paths.key.filename().string() +
                ": it is the key of a hierarchy, or that file was lost",
            "for the key of the hierarchy H, `" + command +
                " --hierarchy H`; if the file was lost, move the .pub file away, have `systemctl restart "
                "ssh-tpm-genkeys.service` make a new key, then `systemctl reload ssh`" +
                std::string(name_of_sshd_service)};
}

std::string for_tree(const fs::path& root) {
    return root.empty() || root == "/" ? "" : "DESTDIR=" + shell_word(root.native()) + " ";
}

identity::Identity read_host_identity(const fs::path& file) {
    try { // caught to add the hint
        return read_identity(file);
    } catch (const Error& error) {
        if (!is_damage(error, file))
            throw;
        const auto root = fs::absolute(file).parent_path().parent_path().parent_path();
        throw Error(error.code(), error.what(),
                    "`" + for_tree(root) +
                        "ssh-tpm hostkeys --renew` keeps this file under another name, and makes a new key");
    }
}

bool is_key_file(std::string_view text) {
    return text.find("-----BEGIN ") != std::string_view::npos;
}

} // namespace sshtpm::applets
