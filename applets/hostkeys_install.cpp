// ssh-tpm-hostkeys --install-… and --uninstall, and the user's units of ssh-tpm-agent.

#include "applets/hostkeys.hpp"
#include "applets/installed_files.hpp"
#include "applets/program_place.hpp"
#include "applets/sshd_agreement.hpp"
#include "applets/tree.hpp"
#include "applets/unit_files.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <functional>
#include <iostream>
#include <set>
#include <sys/stat.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

fs::path systemd_folder(const char* name) {
    if (const auto prefix = os::variable("PREFIX"); prefix && !prefix->empty()) {
        if (!prefix->starts_with('/'))
            throw Error(Errc::usage, "PREFIX=" + *prefix + " is no absolute path");
        return fs::path(*prefix) / "lib" / name;
    }
    return fs::path("/etc") / name;
}

using MissingFolder = Installation::MissingFolder;

void add_all(Installation& files, std::string_view kind, const fs::path& folder,
             MissingFolder missing = MissingFolder::refused) {
    for (const auto& file : installed_files())
        if (file.name.starts_with(kind))
            files.add(file.name, folder, missing);
}

void add_system_units(Installation& files) {
    add_all(files, "system/", systemd_folder("systemd") / "system");
    // A stock system has these folders below /usr alone; systemd reads them here too.
    add_all(files, "sysusers/", systemd_folder("sysusers.d"), MissingFolder::made);
    add_all(files, "tmpfiles/", systemd_folder("tmpfiles.d"), MissingFolder::made);
}

void add_sshd_config(Installation& files) {
    add_all(files, "sshd/", "/etc/ssh/sshd_config.d");
}

void tell_how_to_start() {
    constexpr std::string_view units = "ssh-tpm-genkeys.service ssh-tpm-hostkeys.socket\n";
    if (destdir().empty())
        std::cout << "To start: systemd-sysusers && systemctl daemon-reload && systemctl enable --now "
                  << units;
    else
        std::cout << "To start them at boot: systemctl --root=" << destdir() << " enable " << units;
}

/// Does it, and adds to a refusal of the system that these folders are root's.
void saying_whose_it_is(const std::function<void()>& work) {
    constexpr const char* hint = "these folders are root's: run it as root (sudo)";
    try { // caught to add the hint
        work();
    } catch (const fs::filesystem_error& error) {
        if (error.code() != std::errc::permission_denied)
            throw;
        throw Error(Errc::permission, error.path1().string() + ": " + error.code().message(), hint);
    } catch (const Error& error) {
        if (error.code() != Errc::permission || !error.hint().empty())
            throw;
        throw Error(error.code(), error.what(), hint);
    }
}

/// The units that somebody has enabled: links in the .wants folders, which dangle from now on.
std::set<std::string> enabled_units() {
    std::set<std::string> names;
    std::error_code ignored;
    for (const auto& folder : fs::directory_iterator(destdir() + "/etc/systemd/system", ignored)) {
        if (folder.path().extension() != ".wants")
            continue;
        for (const auto& link : fs::directory_iterator(folder.path(), ignored))
            if (const auto name = link.path().filename().string();
                name.starts_with("ssh-tpm-hostkeys") || name == "ssh-tpm-genkeys.service")
                names.insert(printable(name));
    }
    return names;
}

/// The same units, and those that may run without being enabled.
std::string units_to_stop(std::set<std::string> units) {
    constexpr std::string_view socket = ".socket";
    for (const auto* name :
         {"ssh-tpm-genkeys.service", "ssh-tpm-hostkeys.socket", "ssh-tpm-hostkeys.service"})
        units.insert(name);
    const auto enabled = units;
    for (const auto& name : enabled)
        if (name.ends_with(socket))
            units.insert(name.substr(0, name.size() - socket.size()) + ".service");
    std::string list;
    for (const auto& name : units)
        list += ' ' + name;
    return list;
}

void tell_how_to_stop() {
    const auto enabled = enabled_units();
    // systemctl disable fails, and stops nothing then, where nothing is enabled.
    if (destdir().empty())
        std::cout << "To stop what runs: systemctl " << (enabled.empty() ? "stop" : "disable --now")
                  << units_to_stop(enabled) << "; systemctl daemon-reload; systemctl reload ssh\n";
    else if (!enabled.empty())
        std::cout << "To start them no more: systemctl --root=" << destdir() << " disable"
                  << units_to_stop(enabled) << '\n';
}

void look_at_program(const fs::path& program) {
    if (const auto missing = missing_in_tree(program))
        cli::warn("ssh-tpm-hostkeys", *missing);
    else
        require_place_for_units(program);
}

void agree_or_take_back(Installation& files) {
    if (!destdir().empty()) {
        // Its agent does not run, so sshd would find no host key; and what lies in a tree is not to be run.
        std::cout << "sshd -t has not been run: the agent that it asks is another system's. There, ssh-tpm "
                     "hostkeys --check tells whether all is well.\n";
        return;
    }
    try { // caught to leave sshd as it was
        expect_sshd_to_agree();
        expect_keys_to_work();
    } catch (...) {
        files.take_back();
        throw;
    }
}

} // namespace

int hostkeys_install(const HostkeysOptions& options) {
    ::umask(022); // for folders that others read
    Installation units, sshd;
    if (options.system_units && !options.force)
        look_at_program(running_program());
    if (options.system_units)
        add_system_units(units);
    if (options.sshd_config)
        add_sshd_config(sshd);
    saying_whose_it_is([&] { units.install(options.force); });
    try { // caught to leave everything as it was
        saying_whose_it_is([&] { sshd.install(options.force); });
    } catch (...) {
        units.take_back();
        throw;
    }
    // From here on the units stay, whatever sshd says: they wait for a person to start them, and sshd may be
    // waiting for them.
    units.tell("wrote");
    if (options.system_units)
        tell_how_to_start();
    if (options.sshd_config)
        agree_or_take_back(sshd);
    sshd.tell("wrote");
    return 0;
}

int hostkeys_uninstall(const HostkeysOptions& options) {
    Installation units, sshd;
    add_system_units(units);
    add_sshd_config(sshd);
    bool had_units = false;
    saying_whose_it_is([&] { had_units = units.uninstall(options.force); });
    bool had_config = false;
    try { // caught to leave everything as it was
        saying_whose_it_is([&] { had_config = sshd.uninstall(options.force); });
        if (had_config && destdir().empty())
            expect_sshd_to_go_on(options.force);
    } catch (...) {
        units.take_back();
        sshd.take_back();
        throw;
    }
    if (!had_units && !had_config)
        return 0;
    units.tell("removed");
    sshd.tell("removed");
    tell_how_to_stop();
    return 0;
}

int install_user_units(bool for_all, bool force) {
    Installation files;
    if (for_all) {
        ::umask(022); // for folders that others read
        add_all(files, "user/", systemd_folder("systemd") / "user");
    } else {
        const auto config = os::variable("XDG_CONFIG_HOME");
        const auto folder =
            (config && config->starts_with('/') ? fs::path(*config) : os::home() / ".config") / "systemd" /
            "user";
        if (destdir().empty())
            fs::create_directories(folder); // systemd reads it, but does not make it
        add_all(files, "user/", folder);
    }
    files.install(force);
    files.tell("wrote");
    std::cout << "To start: systemctl --user daemon-reload && systemctl --user enable --now "
                 "ssh-tpm-agent.socket\n";
    return 0;
}

} // namespace sshtpm::applets
