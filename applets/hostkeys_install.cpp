// ssh-tpm-hostkeys --install-… and --uninstall, and the user's units of ssh-tpm-agent.

#include "applets/hostkeys.hpp"
#include "applets/installed_files.hpp"
#include "applets/sshd_program.hpp"
#include "applets/unit_files.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

fs::path systemd_folder(const char* name) {
    if (const auto prefix = os::variable("PREFIX"); prefix && !prefix->empty())
        return fs::path(*prefix) / "lib" / name;
    return fs::path("/etc") / name;
}

void add_all(Installation& files, std::string_view kind, const fs::path& folder) {
    for (const auto& file : installed_files())
        if (file.name.starts_with(kind))
            files.add(file.name, folder);
}

Installation system_files(bool units, bool sshd) {
    Installation files;
    if (units) {
        add_all(files, "system/", systemd_folder("systemd") / "system");
        add_all(files, "sysusers/", systemd_folder("sysusers.d"));
        add_all(files, "tmpfiles/", systemd_folder("tmpfiles.d"));
    }
    if (sshd)
        add_all(files, "sshd/", "/etc/ssh/sshd_config.d");
    return files;
}

} // namespace

int hostkeys_install(const HostkeysOptions& options) {
    auto files = system_files(options.system_units, options.sshd_config);
    try { // caught to leave everything as it was
        files.install(options.force);
        // In another system's tree, the sshd of this one would look at the wrong keys.
        if (options.sshd_config && destdir().empty() && ask_sshd({"-t"}).status != 0)
            throw Error(Errc::refused, "sshd -t refuses the configuration; what was written is taken back",
                        "sshd needs the agent and the keys: ssh-tpm keygen -A, --install-system-units, and "
                        "systemctl enable --now ssh-tpm-hostkeys.socket come first");
    } catch (...) {
        files.take_back();
        throw;
    }
    if (!destdir().empty() && options.sshd_config)
        std::cout << "sshd -t has not been run: the configuration is for another tree.\n";
    if (destdir().empty() && options.system_units)
        std::cout << "To start: systemd-sysusers && systemctl daemon-reload && systemctl enable --now "
                     "ssh-tpm-genkeys.service ssh-tpm-hostkeys.socket\n";
    return 0;
}

int hostkeys_uninstall(const HostkeysOptions& options) {
    system_files(true, true).uninstall(options.force);
    return 0;
}

int install_user_units(bool for_all, bool force) {
    Installation files;
    if (for_all) {
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
    std::cout << "To start: systemctl --user daemon-reload && systemctl --user enable --now "
                 "ssh-tpm-agent.socket\n";
    return 0;
}

} // namespace sshtpm::applets
