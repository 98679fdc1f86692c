// SPDX-License-Identifier: MIT
// ssh-tpm-hostkeys --renew: after the TPM was cleared or replaced, accepts its storage key and replaces the
// host keys that it cannot load. A person decides, because an attacker can replace a TPM too.
//
// It can be killed at any moment and run again: a key file holds the old key or the new one, no old file is
// lost, and the .pub file is missing until the new key's is written.

#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "applets/keygen.hpp"
#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "applets/sshd_drop_in.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/report.hpp"
#include "identity/convert.hpp"
#include "identity/hierarchy.hpp"
#include "identity/sign.hpp"
#include "os/child.hpp"
#include "os/host_names.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iostream>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

struct StoredKey {
    KeyPaths paths;
    fs::path certificate;
    std::string damage;                         ///< the reason why its file is no key file
    std::optional<identity::Identity> identity; ///< if it is one
    tpm::KeyAlgorithm algorithm;
    std::string comment;
    TPM2_HANDLE parent = TPM2_RH_OWNER;

    std::string shown() const { return printable(paths.key.string()); }
};

/// A storage key of the TPM.
struct PresentParent {
    tpm::KnownParent present;
    std::optional<Bytes> known; ///< its known Name

    bool is_known() const { return known && equal(*known, present.name); }
    bool is_other() const { return known && !is_known(); }
};

struct Examination {
    std::vector<StoredKey> alive, dead;
    std::vector<PresentParent> parents;
    int status = 0; ///< 1 if a key can be neither used nor renewed

    bool has_other_parent() const { return std::ranges::any_of(parents, &PresentParent::is_other); }
};

bool names_hierarchy(TPM2_HANDLE handle) {
    return std::ranges::find(tpm::hierarchies, handle, &tpm::Hierarchy::handle) != tpm::hierarchies.end();
}

Error without_private_half(const KeyPaths& paths) {
    return {Errc::unsupported,
            paths.pub.string() + ": there is no " + paths.key.filename().string() +
                " beside it, so this is the key of a hierarchy, or its file was lost",
            "`ssh-tpm hostkeys --check` tells whether it works, and how to get another one"};
}

/// For a key whose own file is damaged: its algorithm and comment, or the usual ones without a .pub file.
void take_from_public_file(StoredKey& key, const identity::HostKeyType& type) {
    key.algorithm = type.algorithm;
    key.comment = "root@" + os::host_name();
    try { // caught because a key of the usual size will do
        const auto line = ssh::AuthorizedKey::read(key.paths.pub);
        const auto algorithm = identity::to_algorithm(ssh::PublicKey::from_blob(line.blob));
        if (algorithm.type != type.algorithm.type)
            return;
        key.algorithm = algorithm;
        key.comment = line.comment;
    } catch (const Error&) {
    }
}

StoredKey read_stored_key(const KeyPaths& paths, const identity::HostKeyType& type) {
    StoredKey key{.paths = paths,
                  .certificate = identity::certificate_file(paths.key),
                  .damage = {},
                  .identity = {},
                  .algorithm = {},
                  .comment = {}};
    try { // caught to replace the key
        key.identity = read_identity(paths.key);
    } catch (const Error& error) {
        if (error.code() != Errc::malformed)
            throw;
        key.damage = error.what();
        take_from_public_file(key, type);
        return key;
    }
    const auto& identity = *key.identity;
    if (identity.needs_pin())
        throw Error(Errc::unsupported, paths.key.string() + ": this key has a PIN, and sshd cannot type it",
                    "`ssh-tpm keygen -p -N '' -f " + shell_word(paths.key.string()) + "` removes it");
    key.algorithm = identity::to_algorithm(identity.public_key);
    key.comment = identity.key->description;
    if (names_hierarchy(identity.key->parent))
        key.parent = identity.key->parent;
    return key;
}

/// Reads the host keys in files, and reports each that cannot be renewed.
std::vector<StoredKey> read_stored_keys(const fs::path& folder, Examination& found) {
    std::vector<StoredKey> keys;
    for (const auto& type : identity::host_key_types) {
        const auto paths = host_key_paths(folder, type);
        try { // caught to go on with the other key
            if (is_there(paths.key))
                keys.push_back(read_stored_key(paths, type));
            else if (is_there(paths.pub))
                throw without_private_half(paths);
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error);
        }
    }
    return keys;
}

/// Tries a key with a signature. @returns false if its file is damaged, or the key belongs to another TPM, or
/// to this one before it was cleared @throws Error for other reasons
bool signs_here(tpm::Tpm& tpm, const StoredKey& key) {
    if (!key.identity)
        return false;
    auto job = [&](tpm::Tpm& opened) { return identity::takes_auth(opened, *key.identity, nullptr); };
    try { // caught because such a key is to be replaced
        if (!tpm.run(job))
            throw Error(Errc::auth, "the TPM wants a PIN for this key");
        return true;
    } catch (const Error& error) {
        // TPM2_Clear removes the owner's persistent objects.
        const bool lacks_parent =
            error.code() == Errc::not_found && !error.tpm_rc() && !names_hierarchy(key.identity->key->parent);
        if (error.code() == Errc::foreign_key || lacks_parent)
            return false;
        throw error.about(key.paths.key.string());
    }
}

/// The names of the hierarchies' storage keys under which keys are, or will be made.
std::vector<tpm::KnownParent> present_parents(tpm::Tpm& tpm, const Examination& found) {
    std::vector<tpm::ParentName> wanted{{}};
    for (const auto* keys : {&found.alive, &found.dead})
        for (const auto& key : *keys) {
            const auto name = key.identity ? tpm::parent_name(*key.identity->key) : wanted.front();
            if (names_hierarchy(name.handle) && std::ranges::find(wanted, name) == wanted.end())
                wanted.push_back(name);
        }
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

/// Looks, and changes nothing. The TPM is opened without the known TPMs, which would refuse another one. It
/// gets no secret: host keys have no PIN.
Examination try_host_keys(const fs::path& folder, tpm::Target target, const tpm::Auth& owner_password) {
    Examination found;
    auto keys = read_stored_keys(folder, found);
    auto known = tpm::known_tpms_of(target);
    target.known_tpms.clear();
    tpm::Tpm tpm(target);
    tpm.use_owner_password(owner_password);
    for (auto& key : keys) {
        try { // caught to go on with the other key
            auto& list = signs_here(tpm, key) ? found.alive : found.dead;
            list.push_back(std::move(key));
        } catch (const Error& error) {
            if (error.code() != Errc::unsupported && error.code() != Errc::auth)
                throw;
            found.status = cli::report(log::program(), error);
        }
    }
    for (auto& parent : present_parents(tpm, found)) {
        auto name = known.known_name(parent.parent);
        found.parents.push_back({.present = std::move(parent), .known = std::move(name)});
    }
    return found;
}

/// "256 SHA256:… root@host (ECDSA)"
std::string key_line(const identity::Identity& identity) {
    return ssh::fingerprint_line(identity.public_key.blob(), identity.key->description,
                                 ssh::FingerprintHash::sha256);
}

/// Warns if the Names do not show that the TPM was cleared, with --yes too.
void warn_of_doubt(const Examination& found) {
    const bool any_known = std::ranges::any_of(found.parents, &PresentParent::is_known);
    const auto has_whole_file = [](const StoredKey& key) { return key.identity.has_value(); };
    if (any_known && !found.has_other_parent() && std::ranges::any_of(found.dead, has_whole_file))
        log::warning(
            "the known storage key is present, so the TPM was not cleared: the file is damaged or of "
            "another machine, or the key's parent was removed");
    if (!any_known && !found.has_other_parent())
        log::warning("no storage key is known here, so its Name was compared with nothing");
}

/// @param suffix of the old files
void explain_renewal(const Examination& found, const std::string& suffix) {
    for (const auto& parent : found.parents)
        std::cout << "Storage key \"" << parent.present.parent << "\" of the TPM:\n"
                  << "  known Name:   " << (parent.known ? hex(*parent.known) : "none") << '\n'
                  << "  present Name: " << hex(parent.present.name) << '\n';
    if (found.has_other_parent())
        std::cout
            << "The present one is not the one that is known: the TPM was cleared or replaced, or somebody "
               "sits between it and this program.\n";
    for (const auto& key : found.alive)
        std::cout << "This host key works, and stays:\n  " << key.shown() << '\n';
    for (const auto& key : found.dead)
        if (key.identity)
            std::cout << "This host key belongs to another TPM, or to this one before it was cleared:\n  "
                      << key.shown() << "\n  " << key_line(*key.identity) << '\n';
        else
            std::cout << "The file of this host key is damaged:\n  " << printable(key.damage) << '\n';
    std::cout << std::flush;
    warn_of_doubt(found);
    std::cout << "If you go on,\n";
    if (found.has_other_parent())
        std::cout << "- the present storage key becomes the known one;\n";
    if (!found.dead.empty())
        std::cout
            << "- the files of each dead key are kept under names with " << suffix << " behind them;\n"
            << "- a new key of the same type and size takes its place. Clients then report that the host "
               "key has changed, until they know the new one.\n";
    std::cout << std::flush;
}

bool confirm_renewal(bool yes) {
    if (yes)
        return true;
    if (!interactive())
        throw Error(
            Errc::refused, "nothing was changed: there is no terminal to ask at",
            "if you know why the TPM is another one, `ssh-tpm hostkeys --renew --yes` goes on without "
            "a question");
    const auto answer = ask_line("Go on (y/N)? ");
    return answer && (answer->starts_with('y') || answer->starts_with('Y'));
}

/// True if the file has its old name already, from a run that was killed.
bool is_linked(const fs::path& file, const std::string& suffix) {
    std::error_code failure;
    return fs::equivalent(file, file.string() + suffix, failure) && !failure;
}

/// A suffix for the names of old files: ".old-2026-11-27", or with a number if such files are there already.
std::string suffix_for_old(const std::vector<StoredKey>& dead) {
    std::array<char, 32> day{};
    const auto now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    std::strftime(day.data(), day.size(), ".old-%Y-%m-%d", &local);
    const auto is_taken = [&](const std::string& suffix) {
        return std::ranges::any_of(dead, [&](const StoredKey& key) {
            return std::ranges::any_of(
                std::array{key.paths.key, key.paths.pub, key.certificate}, [&](const fs::path& path) {
                    return is_there(path) && is_there(path.string() + suffix) && !is_linked(path, suffix);
                });
        });
    };
    std::string suffix = day.data();
    for (int number = 2; is_taken(suffix); ++number)
        suffix = std::string(day.data()) + '.' + std::to_string(number);
    return suffix;
}

/// Gives a file a second name, which must be free.
void link_old(const fs::path& file, const std::string& suffix) {
    const auto old = file.string() + suffix;
    if (!is_linked(file, suffix) && ::link(file.c_str(), old.c_str()) != 0)
        throw Error::from_errno(errno, old);
    std::cout << "kept " << printable(file.string()) << " as " << printable(old) << '\n';
}

/// Renames a file, if it is there; never over another one.
void set_aside(const fs::path& file, const std::string& suffix) {
    if (!is_there(file))
        return;
    link_old(file, suffix);
    if (::unlink(file.c_str()) != 0)
        throw Error::from_errno(errno, file.string());
}

void tell_written(const fs::path& file) {
    std::cout << "wrote " << printable(file.string()) << '\n' << std::flush;
}

/// Replaces a dead key. Its .pub file and certificate go first: without them, a run that is killed leaves a
/// state that the next one, and `keygen -A`, completes.
/// @returns the new key
identity::Identity renew(tpm::Tpm& tpm, const StoredKey& key, const std::string& suffix) {
    auto made = make_key(tpm, key.algorithm, nullptr, key.comment, key.parent);
    StagedFile private_half(key.paths.key, bytes_of(keyfile::to_key_file(*made.key)), private_mode,
                            Existing::replace);
    set_aside(key.certificate, suffix);
    set_aside(key.paths.pub, suffix);
    link_old(key.paths.key, suffix);
    private_half.commit();
    tell_written(key.paths.key);
    write_file(key.paths.pub, bytes_of(public_line(*made.key, made.public_key)), public_mode,
               Existing::replace); // `keygen -A` may have written that of the old key meanwhile
    tell_written(key.paths.pub);
    tell_parent(*made.key, key.parent);
    return made;
}

/// Writes the missing .pub files of keys that work, as a run leaves them that was killed, and reports those
/// of other keys. @returns whether any was missing
bool complete_public_files(Examination& found) {
    bool any = false;
    for (const auto& key : found.alive) {
        try { // caught to go on with the other key
            if (!complete_public_file(key.paths.pub, *key.identity, "the one in " + key.paths.key.string()))
                continue;
            tell_written(key.paths.pub);
            any = true;
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error);
        }
    }
    return any;
}

/// @returns the exit status
int ask_systemd(std::vector<std::string> words) {
    words.insert(words.begin(), "systemctl");
    return os::Child(words, {}).wait();
}

/// Restarts or reloads a unit, if it runs. @returns whether it runs @throws Error(io) if systemd refuses
bool act_if_running(const std::string& unit, const std::string& verb) {
    if (ask_systemd({"is-active", "--quiet", unit}) != 0)
        return false;
    if (ask_systemd({verb, unit}) != 0)
        throw Error(Errc::io, "`systemctl " + verb + " " + unit + "` fails");
    std::cout << verb << "ed " << unit << '\n' << std::flush;
    return true;
}

/// The agent gets its keys at its start (LoadCredential=), and sshd its public keys when it reads its
/// configuration; without the agent, sshd could end then.
void restart_agent_and_reload_sshd() {
    if (!destdir().empty())
        return;
    if (!is_there("/run/systemd/system")) { // sd_booted(3)
        std::cout
            << "To finish: restart the agent of the host keys, then have sshd read its configuration.\n";
        return;
    }
    try { // caught because the keys are there
        act_if_running("ssh-tpm-hostkeys.service", "restart");
        if (!act_if_running("ssh.service", "reload")) // Debian's name
            act_if_running("sshd.service", "reload");
    } catch (const Error& error) {
        cli::warn(log::program(),
                  Error(error.code(), error.what(),
                        "`systemctl restart ssh-tpm-hostkeys.service`, then `systemctl reload ssh`" +
                            std::string(name_of_sshd_service)));
    }
}

void print_new_keys(const std::vector<StoredKey>& renewed) {
    const auto host = os::host_name();
    std::cout << "To publish:\n";
    for (const auto& key : renewed)
        std::cout << "  " << key_line(*key.identity) << '\n';
    std::cout << "In known_hosts of clients, in place of the old lines:\n";
    for (const auto& key : renewed)
        std::cout << "  " << host << ' ' << ssh::AuthorizedKey::of(key.identity->public_key, "").line();
    std::cout << "In the DNS, the SSHFP records of:\n";
    for (const auto& key : renewed)
        std::cout << "  ssh-keygen -r " << host << " -f " << printable(key.paths.pub.string()) << '\n';
    std::cout << "If host certificates are in use, have the new .pub files signed, and run `ssh-tpm hostkeys "
                 "--install-sshd-config`.\n";
}

/// Writes what a run that was killed left undone. @returns whether any file was written
bool complete_files(Examination& found) {
    bool any = complete_public_files(found);
    try { // caught because the new keys are read without it too
        any |= remove_lost_certificates();
    } catch (const Error& error) {
        found.status = cli::report(log::program(), error);
    }
    return any;
}

/// @returns the exit status @throws Error(not_found) if there are no host keys
int report_nothing_to_renew(Examination& found, const fs::path& folder) {
    if (found.alive.empty() && found.status == 0)
        throw Error(Errc::not_found, folder.string() + ": there are no host keys of the TPM",
                    "`ssh-tpm keygen -A` makes them");
    for (const auto& key : found.alive)
        std::cout << key.shown() << ": works\n";
    if (complete_files(found))
        restart_agent_and_reload_sshd();
    else if (found.status == 0)
        std::cout << "There is nothing to renew.\n";
    return found.status;
}

/// Makes the present storage keys the known ones.
void accept_parents(const std::vector<PresentParent>& parents, const tpm::Target& target) {
    auto known = tpm::known_tpms_of(target);
    for (const auto& parent : parents) {
        if (!parent.is_other())
            continue;
        known.replace(parent.present.parent, parent.present.name);
        std::cout << "accepted the storage key \"" << parent.present.parent << "\"\n" << std::flush;
    }
}

/// @param found its status becomes 1 if a key cannot be renewed; its dead keys are moved away
/// @returns the new keys
std::vector<StoredKey> renew_dead_keys(tpm::Tpm& tpm, Examination& found, const std::string& suffix) {
    std::vector<StoredKey> renewed;
    for (auto& key : found.dead) {
        try { // caught because the other key may be renewed
            key.identity = renew(tpm, key, suffix);
            renewed.push_back(std::move(key));
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error.about(key.shown() + " is not renewed"));
        }
    }
    return renewed;
}

} // namespace

int hostkeys_renew(const HostkeysOptions& options) {
    if (auto password = options.tpm.read_owner_password_file())
        give_owner_password(std::move(*password));
    ::umask(022);
    const auto root = destdir();
    const fs::path folder = root + "/etc/ssh";
    if (!root.empty())
        require_inside(root, folder);
    require_writable(folder);
    const auto lock = lock_system_files();
    const auto target = options.tpm.target(folder);
    const auto owner_password = options.tpm.owner_password();

    auto found = try_host_keys(folder, target, owner_password);
    if (found.dead.empty() && !found.has_other_parent())
        return report_nothing_to_renew(found, folder);
    const auto suffix = suffix_for_old(found.dead);
    explain_renewal(found, suffix);
    if (!confirm_renewal(options.yes)) {
        std::cout << "Nothing was changed.\n";
        return 1;
    }
    accept_parents(found.parents, target);
    tpm::Tpm tpm(target);
    tpm.use_owner_password(owner_password);
    const auto renewed = renew_dead_keys(tpm, found, suffix);
    if (complete_files(found) || !renewed.empty())
        restart_agent_and_reload_sshd();
    if (!renewed.empty())
        print_new_keys(renewed);
    else if (found.dead.empty() && found.alive.empty())
        std::cout << "There are no host keys; `ssh-tpm keygen -A` makes them.\n";
    return found.status;
}

} // namespace sshtpm::applets
