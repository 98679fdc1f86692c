// ssh-tpm-hostkeys --install-… and --uninstall, and the user's units of ssh-tpm-agent.

#include "applets/hostkeys.hpp"
#include "applets/installed_files.hpp"
#include "applets/sshd_agreement.hpp"
#include "applets/tree.hpp"
#include "applets/unit_files.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <iostream>
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
    if (options.system_units)
        add_system_units(units);
    if (options.sshd_config)
        add_sshd_config(sshd);
    units.install(options.force);
    try { // caught to leave everything as it was
        sshd.install(options.force);
    } catch (...) {
        units.take_back();
        throw;
    }
    // From here on the units stay, whatever sshd says: they wait for a person to start them, and sshd may be
    // waiting for them.
    units.tell();
    if (options.system_units)
        tell_how_to_start();
    if (options.sshd_config)
        agree_or_take_back(sshd);
    sshd.tell();
    return 0;
}

int hostkeys_uninstall(const HostkeysOptions& options) {
    Installation files;
    add_system_units(files);
    add_sshd_config(files);
    if (files.uninstall(options.force) && destdir().empty())
        std::cout << "To stop what runs: systemctl stop ssh-tpm-hostkeys.socket ssh-tpm-hostkeys.service && "
                     "systemctl daemon-reload && systemctl reload ssh\n";
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
    files.tell();
    std::cout << "To start: systemctl --user daemon-reload && systemctl --user enable --now "
                 "ssh-tpm-agent.socket\n";
    return 0;
}

} // namespace sshtpm::applets
