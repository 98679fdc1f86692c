// SPDX-License-Identifier: MIT
// ssh-tpm-hostkeys --install-… and --uninstall, and ssh-tpm-agent --install-user-units.

#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "applets/sshd.hpp"
#include "applets/sshd_drop_in.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "cli/report.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using MissingFolder = Installation::MissingFolder;

/// The folder in which systemd's folders are.
fs::path systemd_parent() {
    if (const auto prefix = os::variable("PREFIX"); prefix && !prefix->empty()) {
        if (!prefix->starts_with('/'))
            throw Error(Errc::usage, "PREFIX=" + *prefix + " is not an absolute path");
        return fs::path(*prefix) / "lib";
    }
    return "/etc";
}

void add_system_units(Installation& files) {
    files.add("system/", systemd_parent(), "systemd/system");
    // A stock system has these folders only below /usr; systemd reads them here too.
    files.add("sysusers/", systemd_parent(), "sysusers.d", MissingFolder::made);
    files.add("tmpfiles/", systemd_parent(), "tmpfiles.d", MissingFolder::made);
}

void add_sshd_drop_in(Installation& files, std::string text) {
    const fs::path parent = "/etc/ssh", file = sshd_drop_in_path, folder = file.parent_path();
    const bool mends = find_sshd() && !is_there(folder);
    files.add_text(parent, file.lexically_relative(parent).string(), std::move(text), is_sshd_drop_in,
                   mends ? "`mkdir " + folder.string() + "`, and " + include_hint : "");
}

void tell_how_to_start(const std::optional<tpm::Hierarchy>& hierarchy) {
    if (destdir().empty())
        std::cout << "To start: systemd-sysusers && systemctl daemon-reload && systemctl enable --now ";
    else
        std::cout << "To start them at boot: systemctl --root=" << destdir() << " enable ";
    std::cout << start_units(host_agent_socket(hierarchy)) << '\n';
}

/// @param commands after the one for sshd
void tell_how_to_finish(const std::string& commands) {
    std::cout << "To finish" << name_of_sshd_service << ": systemctl reload ssh" << commands << '\n';
}

/// Runs `work`, and adds a hint if the system denies access.
void with_root_hint(const auto& work) {
    try { // caught to add the hint
        work();
    } catch (const Error& error) {
        if (error.code() != Errc::permission || !error.hint().empty())
            throw;
        throw Error(error.code(), error.what(), "only root may write there: run it as root (sudo)");
    }
}

/// Tells how to stop the units that may run. @param removed their files, and the links that enabled them
void tell_how_to_stop(const std::vector<fs::path>& removed) {
    if (!destdir().empty())
        return;
    std::set<std::string> units;
    for (const auto& path : removed) {
        const auto extension = path.extension(), stem = path.stem();
        if ((extension != ".service" && extension != ".socket") || stem.native().ends_with('@'))
            continue; // a template does not run
        units.insert(printable(path.filename().string()));
        units.insert(printable(stem.string()) + ".service");
    }
    std::string commands;
    if (!units.empty()) {
        commands = "; systemctl stop";
        for (const auto& unit : units)
            commands.append(" ").append(unit);
        commands += "; systemctl daemon-reload";
    }
    // sshd first, because it asks the agent until it has read its configuration.
    tell_how_to_finish(commands);
}

/// ProtectHome= makes the first three inaccessible, PrivateTmp= the others empty (systemd.exec(5)).
constexpr std::array hidden{"/home", "/root", "/run/user", "/tmp", "/var/tmp"};

constexpr const char* where_to_install =
    "install it where only root may write, as meson install does, and run it from there";

bool is_below(const fs::path& path, const fs::path& folder) {
    return std::ranges::mismatch(folder, path).in1 == folder.end();
}

/// In a tree (DESTDIR), files may belong to the user who makes it.
bool may_own(uid_t user) {
    return user == 0 || (!destdir().empty() && user == ::geteuid());
}

bool is_in_tree(const fs::path& program) {
    std::error_code ignored;
    return destdir().empty() || fs::exists(destdir() + program.string(), ignored);
}

/// @returns the reason, for a program that the services' sandbox hides (ProtectHome=, PrivateTmp=), or that
///     other users than root may write or replace; else nothing
std::optional<std::string> why_unfit(const fs::path& program) {
    for (const auto* folder : hidden)
        if (is_below(program, folder))
            return "services cannot see " + std::string(folder);
    if (!is_in_tree(program))
        return std::nullopt;
    for (fs::path path = program;; path = path.parent_path()) {
        const fs::path there = destdir() + path.string();
        struct stat status = {};
        if (::stat(there.c_str(), &status) != 0)
            throw Error::from_errno(errno, there.string());
        if (!may_own(status.st_uid))
            return there.string() + " does not belong to root";
        if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
            return there.string() + " may be written by others";
        if (path == path.root_path())
            return std::nullopt;
    }
}

/// @param program as running_program returns it: without $DESTDIR in front
void check_program(const fs::path& program) {
    if (!is_in_tree(program)) {
        cli::warn(
            log::program(), // it may be installed later
            Error(Errc::not_found,
                  destdir() + program.string() + ": the program is not in this tree, and the units start it",
                  "install it there, too (`meson install --destdir`)"));
    } else if (const auto why = why_unfit(program)) {
        throw Error(Errc::refused, program.string() + ": system units should not start this program: " + *why,
                    std::string(where_to_install) + "; with --force the units start this one");
    }
}

/// The program for sshd's subsystem. @throws Error(refused) if sshd cannot or should not start it: each user
/// who logs in may run it
std::string program_of_subsystem(const std::optional<ssh::SshdLine>& other_line) {
    if (other_line)
        throw Error(Errc::refused, place_of(*other_line) + " sets it already",
                    "if it is not to stay, remove that line, and run this again");
    auto program = running_program();
    if (!is_path_for_sshd(program.native()))
        throw Error(Errc::refused, printable(program.native()) + ": sshd has no notation for this path",
                    where_to_install);
    if (const auto why = why_unfit(program))
        throw Error(Errc::refused, *why, where_to_install);
    return program;
}

/// The same; empty, with a warning, for none.
std::string subsystem_or_none(const std::optional<ssh::SshdLine>& other_line) {
    std::string why, hint;
    try { // caught because logins do not need the subsystem
        return program_of_subsystem(other_line);
    } catch (const Error& error) {
        why = error.what();
        hint = error.hint();
    } catch (const fs::filesystem_error&) {
        why = "the path of this program is not known";
    }
    cli::warn(log::program(),
              Error(Errc::refused,
                    "sshd does not get the subsystem " + std::string(subsystem_of_attest) + ": " + why,
                    hint));
    return {};
}

} // namespace

UniqueFd lock_system_files() {
    constexpr const char* path = "/run/ssh-tpm-hostkeys.lock";
    if (!destdir().empty())
        return {};
    UniqueFd file(::open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file && errno != EACCES && errno != ENOENT && errno != EROFS)
        throw Error(Errc::refused, std::string(path) + ": cannot be locked: " + std::strerror(errno),
                    "remove it");
    if (file && !lock_file(file, LOCK_EX, time_limits().host_agent, path))
        throw Error(Errc::refused, "another ssh-tpm-hostkeys is changing files", "wait for its end");
    return file;
}

int hostkeys_install(const HostkeysOptions& options) {
    ::umask(022); // for folders that others read
    const auto lock = lock_system_files();
    Installation units, sshd;
    if (options.system_units && !options.force)
        check_program(running_program());
    if (options.system_units)
        add_system_units(units);
    SshdDropIn drop_in;
    ConfiguredSshd before;
    if (options.sshd_config) {
        if (destdir().empty())
            before = configured_sshd();
        drop_in = make_sshd_drop_in(options.hierarchy, subsystem_or_none(before.subsystem));
        add_sshd_drop_in(sshd, drop_in.text);
    }
    with_root_hint([&] {
        units.install(options.force);
        sshd.install(options.force);
    });
    // The units stay even if sshd refuses: it may need them, and they do nothing until they are started.
    units.keep("wrote");
    if (options.system_units)
        tell_how_to_start(options.hierarchy);
    if (options.sshd_config && destdir().empty())
        expect_logins_to_work(
            drop_in,
            "sshd needs the keys and their agent: run `ssh-tpm hostkeys --install-system-units` "
            "and `systemctl enable --now " +
                start_units(drop_in.socket) + "` first",
            before.keys);
    else if (options.sshd_config) // its agent does not run here, and its sshd may be of another system
        std::cout
            << "sshd -t was not run, because its agent belongs to the other system: run ssh-tpm hostkeys "
               "--check there.\n";
    sshd.keep("wrote");
    if (options.sshd_config && destdir().empty())
        tell_how_to_finish("");
    return 0;
}

int hostkeys_uninstall(bool force) {
    const auto lock = lock_system_files();
    Installation units, sshd;
    add_system_units(units);
    add_sshd_drop_in(sshd, {});
    bool had_units = false, had_config = false;
    with_root_hint([&] {
        had_units = units.uninstall(force);
        had_config = sshd.uninstall(force);
    });
    if (destdir().empty())
        expect_sshd_to_go_on(had_config, force);
    if (!had_units && !had_config)
        return 0;
    units.keep("removed");
    sshd.keep("removed");
    tell_how_to_stop(units.done());
    return 0;
}

int install_user_units(bool for_all, bool force) {
    Installation files;
    if (for_all) {
        ::umask(022); // for folders that others read
        files.add("user/", systemd_parent(), "systemd/user");
    } else {
        const auto config = os::variable("XDG_CONFIG_HOME");
        const auto parent = config && config->starts_with('/') ? fs::path(*config) : os::home() / ".config";
        // systemd reads this folder, but does not make it.
        files.add("user/", parent, "systemd/user", MissingFolder::made);
    }
    files.install(force);
    files.keep("wrote");
    std::cout << "To start: systemctl --user daemon-reload && systemctl --user enable --now "
                 "ssh-tpm-agent.socket\n";
    return 0;
}

} // namespace sshtpm::applets
