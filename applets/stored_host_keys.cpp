// SPDX-License-Identifier: MIT
#include "applets/stored_host_keys.hpp"

#include "applets/host_units.hpp"
#include "applets/installation.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/report.hpp"
#include "identity/sign.hpp"
#include "os/host_names.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/rc.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using Kind = StoredHostKey::Kind;

/// True for an error of the TPM, or of this program, that is due to the content of a key file.
bool is_of_content(const Error& error) {
    if (const auto rc = error.tpm_rc();
        rc && ((*rc & TPM2_RC_FMT1) == 0 || tpm::base_code(*rc) == TPM2_RC_HIERARCHY))
        return false;
    return error.code() == Errc::malformed || error.code() == Errc::unsupported ||
           (error.code() == Errc::tpm && error.tpm_rc());
}

bool names_hierarchy(TPM2_HANDLE handle) {
    return std::ranges::find(tpm::hierarchies, handle, &tpm::Hierarchy::handle) != tpm::hierarchies.end();
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

void set_damaged(StoredHostKey& key, const Error& error) {
    key.kind = Kind::damaged;
    key.damage = error.what();
    read_former(key);
}

void read_key_file(StoredHostKey& key) {
    try { // caught because a damaged file is to be replaced
        key.identity = read_identity(key.paths.key);
    } catch (const Error& error) {
        if (is_damage(error, key.paths.key))
            return set_damaged(key, error);
        throw Error(error.code(), error.what(),
                    error.hint().empty() ? "move it and its .pub file away; then `" + for_tree(destdir()) +
                                               "ssh-tpm keygen -A` makes a new key"
                                         : error.hint());
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
                throw without_private_half(paths, for_tree(destdir()) + "ssh-tpm hostkeys --renew");
            }
            keys.push_back(std::move(key));
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error);
        }
    }
    return keys;
}

/// Tries a key with a signature, and one with a PIN by loading it: its PIN is not asked for.
/// @returns false if the key belongs to another TPM, or to this one before it was cleared, or is damaged
/// @throws Error for other reasons
bool signs_here(tpm::Tpm& tpm, StoredHostKey& key) {
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
        if (is_of_content(error)) {
            set_damaged(key, error.about(key.paths.key.string()));
            return false;
        }
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

/// The parents under which keys are, or will be made; the owner's for keys that may be made later.
std::vector<tpm::ParentName> wanted_parents(const HostKeyTrial& found) {
    std::vector<tpm::ParentName> wanted;
    const auto want = [&wanted](const tpm::ParentName& name) {
        if (std::ranges::find(wanted, name) == wanted.end())
            wanted.push_back(name);
    };
    for (const auto* keys : {&found.alive, &found.dead})
        for (const auto& key : *keys)
            if (key.kind == Kind::in_file)
                want(tpm::parent_name(*key.identity->key));
    for (const auto& key : found.dead)
        if (!key.is_derived())
            want(key.new_parent());
    if (wanted.empty())
        want({});
    return wanted;
}

/// The Names of a parent, one for each label; none if it is a persistent object that is gone.
std::vector<tpm::KnownParent> present_names(tpm::Tpm& tpm, const tpm::ParentName& name) {
    auto job = [&](tpm::Tpm& opened) {
        opened.keys().flush(); // the parent needs a slot
        auto& parents = opened.keys().parents();
        return parents.names(parents.open_for_creation(name));
    };
    try { // caught because its keys are dead then
        return tpm.run(job);
    } catch (const Error& error) {
        if (names_hierarchy(name.handle) ||
            (error.code() != Errc::not_found && error.code() != Errc::unsupported))
            throw;
        return {};
    }
}

/// @throws Error(auth) if the owner password will be needed
void add_parents(HostKeyTrial& found, tpm::Tpm& tpm, tpm::KnownTpms& known) {
    for (const auto& name : wanted_parents(found)) {
        for (auto& present : present_names(tpm, name)) {
            auto known_name = known.known_name(present.parent);
            // Without the owner password, the object at 0x81000001 stands for the owner's storage key, and
            // only if its Name is known as that.
            if (const auto label = tpm::label_of(name);
                names_hierarchy(name.handle) && present.parent.starts_with("0x"))
                if (auto of_owner = known.known_name(label)) {
                    if (!equal(*of_owner, present.name))
                        throw Error(Errc::auth, "the owner hierarchy has a password", "-o asks for it");
                    present.parent = label;
                    known_name = std::move(of_owner);
                }
            if (std::ranges::find(found.parents, present, &PresentParent::present) == found.parents.end())
                found.parents.push_back({.present = std::move(present), .known = std::move(known_name)});
        }
    }
}

} // namespace

std::vector<KeyPaths> host_keys_without_file(const fs::path& folder) {
    std::vector<KeyPaths> out;
    for (const auto& type : identity::host_key_types)
        if (auto paths = host_key_paths(folder, type); is_there(paths.pub) && !is_there(paths.key))
            out.push_back(std::move(paths));
    return out;
}

std::string replace_lost_keys() {
    std::string commands;
    for (const auto& [key, pub, link] : host_keys_without_file("/etc/ssh"))
        commands.append("mv ").append(pub).append(" ").append(pub).append(".old && ");
    return "`" + commands + "systemctl restart ssh-tpm-genkeys.service && systemctl reload ssh`" +
           std::string(name_of_sshd_service) + " has other keys made";
}

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

tpm::ParentName StoredHostKey::new_parent() const {
    const bool keeps = kind == Kind::in_file && names_hierarchy(identity->key->parent);
    return {.handle = keeps ? identity->key->parent : TPM2_RH_OWNER};
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
    add_parents(found, tpm, known);
    return found;
}

} // namespace sshtpm::applets
