// SPDX-License-Identifier: MIT
// keygen -A: makes missing host keys. It runs at every boot: existing keys are checked and kept, and the TPM
// is opened only if a key is missing, or is that of a hierarchy that may have changed.

#include "applets/installation.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "identity/hierarchy.hpp"
#include "identity/sign.hpp"
#include "os/host_names.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/capability.hpp"
#include "tpm/create.hpp"

#include <iostream>
#include <sys/stat.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using identity::HostKeyType;

struct HostKey {
    HostKeyType type;
    KeyPaths paths;
    bool has_wanted_size = false; ///< a person has chosen the size
};

/// The host keys to make: that of -t, else one of each type.
/// @throws Error(usage) for a size that the keys of a hierarchy do not have: the agent would not know it
std::vector<HostKey> chosen_keys(const KeygenOptions& options, const fs::path& folder) {
    std::vector<HostKey> keys;
    for (auto type : identity::host_key_types) {
        if (options.type && options.type->name != type.word)
            continue;
        const auto usual = type.algorithm;
        if (options.type)
            type.algorithm = choose_algorithm(*options.type, options.bits);
        if (options.hierarchy && type.algorithm != usual)
            throw Error(Errc::usage,
                        "no " + tpm::describe(type.algorithm) + " key with --hierarchy: it is always " +
                            tpm::describe(usual),
                        "leave the size out; without --hierarchy, -A makes host keys of other sizes");
        keys.push_back(
            {type, host_key_paths(folder, type), options.bits || (options.type && options.type->bits)});
    }
    return keys;
}

identity::Identity complete(const KeyPaths& paths) {
    auto identity = read_host_identity(paths.key);
    complete_public_file(paths.pub, identity, "the one in " + paths.key.string());
    return identity;
}

/// A key of another size stays, because clients know it.
void warn_of_other_size(const HostKey& key, const identity::Identity& there) {
    const auto bits = ssh::describe(there.public_key.blob()).bits;
    if (!key.has_wanted_size || bits == tpm::bits_of(key.type.algorithm))
        return;
    cli::warn(log::program(),
              Error(Errc::exists,
                    key.paths.key.string() + ": stays, a key of " + std::to_string(bits) +
                        " bits and not of " + std::to_string(tpm::bits_of(key.type.algorithm)),
                    "move it and its .pub file away to have another one made"));
}

/// Checks the files of a key, and writes a missing .pub file. @returns whether the key must be made
bool is_wanted(const HostKey& key) {
    // The .pub file is checked between two checks of the key file: another run may write both meanwhile, the
    // .pub file last.
    const bool found = is_there(key.paths.key);
    const bool public_missing = is_missing(key.paths.pub);
    if (found || is_there(key.paths.key)) {
        warn_of_other_size(key, complete(key.paths));
        return false;
    }
    if (public_missing)
        return true;
    throw without_private_half(key.paths, "ssh-tpm keygen -A");
}

/// The same for a key of a hierarchy.
bool is_wanted(const HostKey& key, const tpm::Hierarchy& hierarchy) {
    if (is_there(key.paths.key))
        throw Error(Errc::exists, key.paths.key.string() + ": there is a host key in this file",
                    "remove it and its .pub file to use the key of the " + std::string(hierarchy.name) +
                        " hierarchy");
    // Keys of the null hierarchy change at every boot, those of the owner hierarchy when the TPM is cleared,
    // so their .pub files are compared; of the latter the ECDSA key's alone if it is there, because a TPM may
    // work for a minute on an RSA key.
    const auto ecdsa = host_key_paths(key.paths.pub.parent_path(), identity::host_key_types.front());
    const bool may_change = hierarchy.handle == TPM2_RH_NULL ||
                            (hierarchy.handle == TPM2_RH_OWNER &&
                             (key.type.algorithm.type == TPM2_ALG_ECC || is_missing(ecdsa.pub)));
    return may_change || is_missing(key.paths.pub);
}

void make(tpm::Tpm& tpm, const HostKey& key, const KeygenOptions& options, const std::string& comment) {
    // sshd cannot type a PIN, so a host key has none.
    const auto identity = make_key(tpm, key.type.algorithm, nullptr, comment, options.parent_or_owner());
    try { // caught because another run may have been faster: then its key is the host key
        StagedFile private_half(key.paths.key, bytes_of(keyfile::to_key_file(*identity.key)), private_mode,
                                Existing::keep);
        StagedFile public_half(key.paths.pub, bytes_of(public_line(*identity.key, identity.public_key)),
                               public_mode, is_there(key.paths.pub) ? Existing::replace : Existing::keep);
        // The first stays if the second fails: another run may be writing its .pub file now.
        private_half.commit();
        public_half.commit();
    } catch (const Error& error) {
        if (error.code() != Errc::exists)
            throw;
    }
    complete(key.paths);
}

/// @throws Error(exists) if the .pub file is that of another key, as after the TPM was cleared
void derive(tpm::Tpm& tpm, const HostKey& key, const KeygenOptions& options, const std::string& comment) {
    const auto hierarchy = std::string(options.hierarchy->name);
    const auto identity = derive_host_key(tpm, *options.hierarchy, key.type, comment);
    try { // caught for the hint
        complete_public_file(key.paths.pub, identity,
                             "the one that the TPM makes in its " + hierarchy + " hierarchy now");
    } catch (const Error& error) {
        if (options.file || (error.code() != Errc::exists && error.code() != Errc::malformed))
            throw;
        throw Error(error.code(), error.what(), "`ssh-tpm hostkeys --renew --hierarchy " + hierarchy + "`");
    }
}

/// @throws Error(unsupported) instead of false for a type of -t
bool has_type(tpm::Tpm& tpm, const HostKeyType& type, bool is_required) {
    auto job = [&](tpm::Tpm& opened) {
        if (is_required)
            tpm::require_support(opened.context(), type.algorithm);
        return tpm::supports(opened.context(), type.algorithm);
    };
    return tpm.run(job);
}

/// @returns how many keys were made
std::size_t make_missing(const std::vector<HostKey>& missing, const KeygenOptions& options) {
    const auto comment = options.comment.value_or("root@" + os::host_name());
    require_comment(comment);
    const auto tpm = options.tpm.open_tpm(missing.front().paths.key.parent_path());
    std::size_t made = 0;
    for (const auto& key : missing) {
        if (!has_type(*tpm, key.type, options.type.has_value())) {
            log::warning("this TPM makes no ", tpm::describe(key.type.algorithm), " keys: no ",
                         printable(key.paths.pub.string()));
            continue;
        }
        if (!options.quiet && is_missing(key.paths.pub))
            std::cout << "ssh-tpm-keygen: generating new host key: " << key.type.label << '\n' << std::flush;
        if (options.hierarchy)
            derive(*tpm, key, options, comment);
        else
            make(*tpm, key, options, comment);
        ++made;
    }
    return made;
}

} // namespace

int keygen_host_keys(const KeygenOptions& options) {
    if (options.pin && !options.pin->empty())
        throw Error(Errc::usage, "-N: a host key has no PIN, because sshd cannot type one",
                    "-N '' or no -N makes host keys");
    ::umask(022); // folders have the right mode at once, even if this is killed after mkdir
    const auto prefix = options.file ? *options.file : destdir();
    const auto folder = fs::path(prefix + "/etc/ssh");
    const auto keys = chosen_keys(options, folder);
    if (!prefix.empty())
        require_inside(prefix, folder);
    make_folders(folder, 0755);
    if (options.hierarchy && options.hierarchy->handle == TPM2_RH_NULL)
        log::warning("keys of the null hierarchy change at every reset of the TPM, and so at every boot: "
                     "clients will then report that the host key has changed");
    int status = 0;
    std::vector<HostKey> missing;
    for (const auto& key : keys) {
        try { // caught to check the other key too
            if (options.hierarchy ? is_wanted(key, *options.hierarchy) : is_wanted(key))
                missing.push_back(key);
        } catch (const Error& error) {
            status = cli::report(log::program(), error);
        }
    }
    if (missing.empty())
        return status;
    require_writable(folder);
    if (make_missing(missing, options) == 0 && missing.size() == identity::host_key_types.size())
        throw identity::no_host_key_type();
    return status;
}

} // namespace sshtpm::applets
