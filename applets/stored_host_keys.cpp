// SPDX-License-Identifier: MIT
#include "applets/stored_host_keys.hpp"

#include "applets/host_units.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/report.hpp"
#include "identity/convert.hpp"
#include "identity/sign.hpp"
#include "os/host_names.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using Kind = StoredHostKey::Kind;

Error without_private_half(const KeyPaths& paths) {
    return {Errc::unsupported,
            paths.pub.string() + ": there is no " + paths.key.filename().string() +
                " beside it, so this is the key of a hierarchy, or its file was lost",
            "for the key of the hierarchy H, `ssh-tpm hostkeys --renew --hierarchy H`; if its file was lost, "
            "move the .pub file away, have `systemctl restart ssh-tpm-genkeys.service` make a new key, then "
            "`systemctl reload ssh`" +
                std::string(name_of_sshd_service)};
}

/// Reads the .pub file, as far as it can be read.
void read_former(StoredHostKey& key) {
    key.comment = "root@" + os::host_name();
    try { // caught because the .pub file may be damaged too
        const auto line = ssh::AuthorizedKey::read(key.paths.pub);
        key.former = ssh::PublicKey::from_blob(line.blob);
        if (!line.comment.empty() && printable(line.comment) == line.comment)
            key.comment = line.comment;
    } catch (const Error& error) {
        if (error.code() != Errc::malformed && error.code() != Errc::unsupported &&
            error.code() != Errc::not_found)
            throw;
    }
}

void read_key_file(StoredHostKey& key) {
    try { // caught because a damaged file is to be replaced
        key.identity = read_identity(key.paths.key);
    } catch (const Error& error) {
        std::error_code ignored;
        if (error.code() != Errc::malformed || !fs::is_regular_file(key.paths.key, ignored))
            throw;
        key.kind = Kind::damaged;
        key.damage = error.what();
        read_former(key);
    }
}

/// Reads the host keys, and reports each that cannot be renewed.
std::vector<StoredHostKey> read_stored_keys(const fs::path& folder, bool knows_hierarchy,
                                            HostKeyTrial& found) {
    std::vector<StoredHostKey> keys;
    for (const auto& type : identity::host_key_types) {
        const auto paths = host_key_paths(folder, type);
        StoredHostKey key{.type = type, .paths = paths, .certificate = identity::certificate_file(paths.key)};
        try { // caught to go on with the other key
            if (is_there(paths.key)) {
                found.any_in_file = true;
                read_key_file(key);
            } else if (!is_there(paths.pub)) {
                continue;
            } else if (knows_hierarchy) {
                found.any_derived = true;
                key.kind = Kind::derived;
                read_former(key);
            } else {
                throw without_private_half(paths);
            }
            keys.push_back(std::move(key));
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error);
        }
    }
    return keys;
}

/// Tries a key with a signature, and one with a PIN by loading it: its PIN is not asked for.
/// @returns false if the key belongs to another TPM, or to this one before it was cleared
/// @throws Error for other reasons
bool signs_here(tpm::Tpm& tpm, const StoredHostKey& key) {
    const auto& identity = *key.identity;
    auto job = [&](tpm::Tpm& opened) {
        if (!identity.needs_pin())
            return identity::takes_auth(opened, identity, nullptr);
        opened.keys().try_loading(identity.key);
        return true;
    };
    try { // caught because such a key is to be replaced
        if (!tpm.run(job))
            throw Error(Errc::auth, "the TPM wants a PIN for this key");
    } catch (const Error& error) {
        // TPM2_Clear removes the owner's persistent objects.
        const bool lacks_parent =
            error.code() == Errc::not_found && !error.tpm_rc() && !names_hierarchy(identity.key->parent);
        if (error.code() == Errc::foreign_key || lacks_parent)
            return false;
        throw error.about(key.paths.key.string());
    }
    if (identity.needs_pin())
        throw Error(Errc::unsupported,
                    key.paths.key.string() + ": this key has a PIN, and sshd cannot type it",
                    "`ssh-tpm keygen -p -N '' -f " + shell_word(key.paths.key.native()) +
                        "` removes it; then `systemctl restart ssh-tpm-hostkeys.service`");
    return true;
}

bool works(tpm::Tpm& tpm, StoredHostKey& key, const std::optional<tpm::Hierarchy>& hierarchy) {
    if (key.kind == Kind::damaged)
        return false;
    if (key.kind == Kind::in_file)
        return signs_here(tpm, key);
    key.identity = derive_host_key(tpm, *hierarchy, key.type, key.comment);
    return key.former && equal(key.former->blob(), key.identity->public_key.blob());
}

/// The names of the hierarchies' storage keys under which keys are, or will be made.
std::vector<tpm::KnownParent> present_parents(tpm::Tpm& tpm, const HostKeyTrial& found) {
    std::vector<tpm::ParentName> wanted{{}};
    for (const auto* keys : {&found.alive, &found.dead})
        for (const auto& key : *keys)
            if (key.kind == Kind::in_file)
                if (const auto name = tpm::parent_name(*key.identity->key);
                    names_hierarchy(name.handle) && std::ranges::find(wanted, name) == wanted.end())
                    wanted.push_back(name);
    std::vector<tpm::KnownParent> present;
    for (const auto& name : wanted) {
        auto job = [&](tpm::Tpm& opened) {
            opened.keys().flush(); // the parent needs a slot
            auto& parents = opened.keys().parents();
            return parents.names(parents.open_for_creation(name));
        };
        for (auto& each : tpm.run(job))
            if (std::ranges::find(present, each) == present.end())
                present.push_back(std::move(each));
    }
    return present;
}

} // namespace

std::string StoredHostKey::shown() const {
    return printable((is_derived() ? paths.pub : paths.key).string());
}

std::string StoredHostKey::former_line() const {
    if (kind == Kind::in_file)
        return key_line(identity->public_key, identity->key->description);
    return former ? key_line(*former, comment) : std::string();
}

std::string key_line(const ssh::PublicKey& key, const std::string& comment) {
    return ssh::fingerprint_line(key.blob(), comment, ssh::FingerprintHash::sha256);
}

bool HostKeyTrial::has_other_parent() const {
    return std::ranges::any_of(parents, &PresentParent::is_other);
}

bool names_hierarchy(TPM2_HANDLE handle) {
    return std::ranges::find(tpm::hierarchies, handle, &tpm::Hierarchy::handle) != tpm::hierarchies.end();
}

HostKeyTrial try_host_keys(const fs::path& folder, const std::optional<tpm::Hierarchy>& hierarchy,
                           tpm::Target target, const tpm::Auth& owner_password) {
    HostKeyTrial found;
    auto keys = read_stored_keys(folder, hierarchy.has_value(), found);
    auto known = tpm::known_tpms_of(target);
    target.known_tpms.clear();
    tpm::Tpm tpm(target);
    tpm.use_owner_password(owner_password);
    for (auto& key : keys) {
        try { // caught to go on with the other key
            auto& list = works(tpm, key, hierarchy) ? found.alive : found.dead;
            list.push_back(std::move(key));
        } catch (const Error& error) {
            if (error.code() != Errc::unsupported && error.code() != Errc::auth)
                throw;
            found.status = cli::report(log::program(), error);
        }
    }
    if (found.any_derived && !found.any_in_file)
        return found; // no storage key is above these
    for (auto& parent : present_parents(tpm, found)) {
        auto name = known.known_name(parent.parent);
        found.parents.push_back({.present = std::move(parent), .known = std::move(name)});
    }
    return found;
}

} // namespace sshtpm::applets
