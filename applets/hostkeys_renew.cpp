// SPDX-License-Identifier: MIT
// ssh-tpm-hostkeys --renew: after the TPM was cleared or replaced, accepts its storage key and replaces the
// host keys that it cannot load. A person decides, because an attacker can replace a TPM too.
//
// It can be killed at any moment and run again: a key file holds the old key or the new one, no old file is
// lost, and the .pub file is missing until the new key's is written.

#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "applets/hostkeys_renew_text.hpp"
#include "applets/installation.hpp"
#include "applets/keygen.hpp"
#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "applets/sshd_drop_in.hpp"
#include "applets/stored_host_keys.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/report.hpp"
#include "identity/convert.hpp"
#include "os/child.hpp"
#include "protocol/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <ranges>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

using Kind = StoredHostKey::Kind;

/// The hierarchy of the keys that have no key file: that of --hierarchy, or of the agent that sshd asks.
/// @throws Error(refused) if sshd asks another agent than that of --hierarchy: it would refuse the new keys;
///     Error(usage) if --hierarchy would have no effect
std::optional<tpm::Hierarchy> choose_hierarchy(const HostkeysOptions& options, const fs::path& folder) {
    const auto of_sshd = hierarchy_of_sshd_drop_in();
    if (!options.hierarchy)
        return of_sshd;
    const std::string name(options.hierarchy->name), start = "`" + for_tree(destdir()) + "ssh-tpm hostkeys ";
    const auto in_file = [&](const auto& type) { return is_there(host_key_paths(folder, type).key); };
    const bool any_derived = !host_keys_without_file(folder).empty();
    if (!any_derived && std::ranges::any_of(identity::host_key_types, in_file))
        throw Error(Errc::usage, "--hierarchy " + name + ": the host keys are in files",
                    start + "--renew` renews those");
    const auto asked = has_sshd_drop_in() ? of_sshd : options.hierarchy;
    if (!any_derived || host_agent_socket(asked) == host_agent_socket(options.hierarchy))
        return options.hierarchy;
    throw Error(Errc::refused,
                "--hierarchy " + name + ": sshd asks the agent for the keys " +
                    (asked ? "of the " + std::string(asked->name) + " hierarchy" : std::string("in files")) +
                    ", and would find none of this one",
                (asked ? start + "--renew` renews those"
                       : std::string("if the key files were lost, move the .pub files away, and `systemctl "
                                     "restart ssh-tpm-genkeys.service` makes new keys")) +
                    "; to change to the " + name +
                    " hierarchy, move /etc/ssh/ssh_tpm_host_* away, then `systemctl enable --now " +
                    start_units(host_agent_socket(options.hierarchy)) + "`, " + start +
                    "--install-sshd-config --hierarchy " + name + "`, and `systemctl reload ssh`" +
                    std::string(name_of_sshd_service));
}

bool confirm_renewal(const HostkeysOptions& options) {
    if (options.yes)
        return true;
    if (!interactive())
        throw Error(Errc::refused, "nothing was changed: there is no terminal to ask at",
                    "if you know why, `" + for_tree(destdir()) + "ssh-tpm hostkeys --renew --yes" +
                        hierarchy_option(host_agent_socket(options.hierarchy)) +
                        "` goes on without a question");
    const auto answer = ask_line("Go on (y/N)? ");
    return answer && (answer->starts_with('y') || answer->starts_with('Y'));
}

/// True if the file has its old name already, from a run that was killed.
bool is_linked(const fs::path& file, const std::string& suffix) {
    struct stat now = {}, old = {};
    return ::lstat(file.c_str(), &now) == 0 && ::lstat((file.string() + suffix).c_str(), &old) == 0 &&
           now.st_dev == old.st_dev && now.st_ino == old.st_ino;
}

/// A suffix for the names of old files: ".old-2026-11-27", or with a number if such files are there already.
std::string suffix_for_old(const std::vector<StoredHostKey>& dead) {
    std::array<char, 32> day{};
    const auto now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    std::strftime(day.data(), day.size(), ".old-%Y-%m-%d", &local);
    const auto is_taken = [&](const std::string& suffix) {
        return std::ranges::any_of(dead, [&](const StoredHostKey& key) {
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

/// Gives each file that is there a second name. @throws Error, and then all still have their own
void link_old(std::initializer_list<fs::path> files, const std::string& suffix) {
    for (const auto& file : files) {
        if (!is_there(file))
            continue;
        const auto old = file.string() + suffix;
        if (!is_linked(file, suffix) && ::link(file.c_str(), old.c_str()) != 0) {
            const auto error = Error::from_errno(errno, old);
            const auto word = shell_word(file.native());
            throw Error(error.code(), std::string(error.what()) + " (link)",
                        "`lsattr " + word + "` and `findmnt -T " + word +
                            "` tell whether the file, or the file system, permits hard links");
        }
        std::cout << "kept " << printable(file.string()) << " as " << printable(old) << '\n';
    }
}

void remove_file(const fs::path& file) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT)
        throw Error::from_errno(errno, file.string());
}

void tell_written(const fs::path& file) {
    std::cout << "wrote " << printable(file.string()) << '\n' << std::flush;
}

/// The new key has the type and size of the old one, as far as its files tell them.
tpm::KeyAlgorithm algorithm_of(const StoredHostKey& key) {
    if (key.kind == Kind::in_file)
        return identity::to_algorithm(key.identity->public_key);
    if (key.former)
        if (const auto former = identity::to_algorithm(*key.former); former.type == key.type.algorithm.type)
            return former;
    return key.type.algorithm;
}

/// Replaces a dead key in a file. Its .pub file and certificate go first: without them, a run that is killed
/// leaves a state that the next one, and `keygen -A`, completes.
void renew_in_file(tpm::Tpm& tpm, StoredHostKey& key, const std::string& suffix) {
    const bool is_damaged = key.kind == Kind::damaged;
    auto made = make_key(tpm, algorithm_of(key), nullptr,
                         is_damaged ? key.comment : key.identity->key->description, key.new_parent().handle);
    StagedFile private_half(key.paths.key, bytes_of(keyfile::to_key_file(*made.key)), private_mode,
                            Existing::replace);
    StagedFile public_half(key.paths.pub, bytes_of(public_line(*made.key, made.public_key)), public_mode,
                           Existing::replace); // `keygen -A` may write that of the old key meanwhile
    link_old({key.paths.key, key.certificate, key.paths.pub}, suffix);
    remove_file(key.certificate);
    remove_file(key.paths.pub);
    private_half.commit();
    tell_written(key.paths.key);
    public_half.commit();
    tell_written(key.paths.pub);
    key.identity = std::move(made);
}

/// Replaces the .pub file of a hierarchy's key. It is there at each moment: a run that finds none knows of no
/// key.
void renew_derived(const StoredHostKey& key, const std::string& suffix) {
    StagedFile public_half(key.paths.pub, bytes_of(public_line(*key.identity->key, key.identity->public_key)),
                           public_mode, Existing::replace);
    link_old({key.certificate, key.paths.pub}, suffix);
    remove_file(key.certificate);
    public_half.commit();
    tell_written(key.paths.pub);
}

/// Writes the missing .pub files of keys that work, as a run leaves them that was killed, and reports those
/// of other keys.
void complete_public_files(HostKeyTrial& found) {
    for (auto& key : found.alive) {
        if (key.is_derived())
            continue; // its .pub file has been compared
        try {         // caught to go on with the other key
            if (!complete_public_file(key.paths.pub, *key.identity, "the one in " + key.paths.key.string()))
                continue;
            tell_written(key.paths.pub);
            key.is_new = true;
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error);
        }
    }
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
/// @param sockets of the agents
void restart_agents_and_reload_sshd(const std::vector<fs::path>& sockets) {
    if (!destdir().empty())
        return;
    if (!is_there("/run/systemd/system")) { // sd_booted(3)
        std::cout
            << "To finish: restart the agent of the host keys, then have sshd read its configuration.\n";
        return;
    }
    try { // caught because the keys are there
        for (const auto& socket : sockets)
            act_if_running(agent_unit(socket) + ".service", "restart");
        if (!act_if_running("ssh.service", "reload")) // Debian's name
            act_if_running("sshd.service", "reload");
    } catch (const Error& error) {
        cli::warn(log::program(),
                  Error(error.code(), error.what(),
                        "`systemctl restart " + agent_unit(sockets.front()) +
                            ".service`, then `systemctl reload ssh`" + std::string(name_of_sshd_service)));
    }
}

/// The agents that serve these keys.
std::vector<fs::path> agent_sockets(const HostKeyTrial& found,
                                    const std::optional<tpm::Hierarchy>& hierarchy) {
    std::vector<fs::path> sockets;
    if (found.any_derived)
        sockets.push_back(host_agent_socket(hierarchy));
    if (found.any_in_file || sockets.empty())
        sockets.emplace_back(system_socket);
    return sockets;
}

/// Whether an agent listens there that does not list these keys: it has those of before a run that was
/// killed. One that does not answer may be making the keys of its hierarchy.
bool lacks(const fs::path& socket, auto& keys) {
    try { // caught because no agent has to run
        const auto listed = protocol::Client(socket).list();
        return std::ranges::any_of(keys, [&](const StoredHostKey& key) {
            const auto blob = key.identity->public_key.blob();
            return std::ranges::none_of(listed, [&](const auto& each) { return equal(each.blob, blob); });
        });
    } catch (const Error& error) {
        if (error.code() != Errc::not_found)
            cli::warn(log::program(), Error(error.code(), error.about(socket.string()).what(),
                                            "`ssh-tpm hostkeys --check" + hierarchy_option(socket) +
                                                "` tells whether it has the present keys"));
        return false;
    }
}

/// Marks the keys that their agent does not serve yet as new.
void find_unserved(HostKeyTrial& found, const std::vector<fs::path>& sockets) {
    if (!destdir().empty())
        return;
    for (const auto& socket : sockets) {
        auto keys = found.alive | std::views::filter([&](const StoredHostKey& key) {
                        return key.is_derived() == (socket != system_socket);
                    });
        if (keys.empty() || !lacks(socket, keys))
            continue;
        for (auto& key : keys)
            key.is_new = true;
    }
}

/// Makes the storage keys that were shown the known ones.
void accept_parents(const std::vector<PresentParent>& parents, const tpm::Target& target) {
    auto known = tpm::known_tpms_of(target);
    for (const auto& parent : parents) {
        if (parent.is_known())
            continue;
        if (parent.known)
            known.replace(parent.present.parent, parent.present.name);
        else
            known.accept(parent.present.parent, parent.present.name);
        std::cout << "accepted the storage key \"" << parent.present.parent << "\"\n" << std::flush;
    }
}

/// Dead keys that are renewed become alive. @param found its status becomes 1 if a key cannot be renewed
void renew_dead_keys(tpm::Tpm& tpm, HostKeyTrial& found, const std::string& suffix) {
    std::vector<StoredHostKey> left;
    for (auto& key : found.dead) {
        try { // caught because the other key may be renewed
            if (key.is_derived())
                renew_derived(key, suffix);
            else
                renew_in_file(tpm, key, suffix);
            key.is_new = true;
            found.alive.push_back(std::move(key));
        } catch (const Error& error) {
            found.status = cli::report(log::program(), error.about(key.shown() + " is not renewed"));
            left.push_back(std::move(key));
        }
    }
    found.dead = std::move(left);
}

/// Writes what a run that was killed left undone, and has agents and sshd read what is new.
void finish(HostKeyTrial& found, const std::vector<fs::path>& sockets) {
    complete_public_files(found);
    const auto any_new = [&] { return std::ranges::any_of(found.alive, &StoredHostKey::is_new); };
    bool any_written = any_new();
    try { // caught because the new keys are read without it too
        any_written |= remove_lost_certificates();
    } catch (const Error& error) {
        found.status = cli::report(log::program(), error);
    }
    if (found.status == 0 && !any_written && !found.has_other_parent())
        std::cout << "There is nothing to renew.\n";
    if (found.status == 0 &&
        !any_written) // an agent that works is not stopped because of a TPM that does not
        find_unserved(found, sockets);
    if (any_written || any_new())
        restart_agents_and_reload_sshd(sockets);
    print_new_keys(std::move(found.alive), sockets.front());
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
    const auto hierarchy = choose_hierarchy(options, folder);
    const auto owner_password = options.tpm.owner_password();

    auto found = try_host_keys(folder, hierarchy, target, owner_password);
    const auto sockets = agent_sockets(found, hierarchy);
    const auto make = "`" + for_tree(root) + "ssh-tpm keygen -A` makes them";
    if (!found.dead.empty() || found.has_other_parent()) {
        const auto suffix = suffix_for_old(found.dead);
        explain_renewal(found, hierarchy, suffix, !options.yes);
        if (!confirm_renewal(options)) {
            std::cout << "Nothing was changed.\n";
            return 1;
        }
        accept_parents(found.parents, target);
        tpm::Tpm tpm(target);
        tpm.use_owner_password(owner_password);
        renew_dead_keys(tpm, found, suffix);
        if (found.alive.empty() && found.status == 0)
            std::cout << "There are no host keys; " << make << ".\n";
    } else if (found.alive.empty() && found.status == 0) {
        throw Error(Errc::not_found, folder.string() + ": there are no host keys of the TPM", make);
    } else {
        for (const auto& key : found.alive)
            std::cout << key.shown() << ": works\n";
    }
    finish(found, sockets);
    return found.status;
}

} // namespace sshtpm::applets
