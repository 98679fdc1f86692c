// ssh-tpm-hostkeys --install-… and --uninstall, and the user's units of ssh-tpm-agent.

#include "applets/hostkeys.hpp"
#include "applets/installed_files.hpp"
#include "applets/sshd_program.hpp"
#include "applets/unit_files.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"
#include "ssh/sshd_settings.hpp"

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

/// sshd's word on what was written for it: that it is right, and that it is read at all.
void expect_sshd_to_agree() {
    if (ask_sshd({"-t"}).status != 0)
        throw Error(Errc::refused, "sshd -t refuses the configuration; what was written is taken back",
                    "sshd needs the agent and the keys: ssh-tpm keygen -A, --install-system-units, and "
                    "systemctl enable --now ssh-tpm-hostkeys.socket come first");
    const auto answer = ask_sshd({"-T"});
    const auto sshd = ssh::parse_sshd_settings(answer.output);
    if (answer.status == 0 && sshd.host_key_agent != system_socket)
        throw Error(Errc::refused,
                    "sshd does not read what was written for it (its HostKeyAgent is " +
                        (sshd.host_key_agent.empty() ? "none" : sshd.host_key_agent) + "); it is taken back",
                    "/etc/ssh/sshd_config has to begin with: Include /etc/ssh/sshd_config.d/*.conf");
}

} // namespace

int hostkeys_install(const HostkeysOptions& options) {
    auto files = system_files(options.system_units, options.sshd_config);
    try { // caught to leave everything as it was
        files.install(options.force);
        if (options.sshd_config && destdir().empty())
            expect_sshd_to_agree();
    } catch (...) {
        files.take_back();
        throw;
    }
    if (!destdir().empty() && options.sshd_config)
        // Its agent does not run, so sshd would find no host key; and what lies in a tree is not to be run.
        std::cout << "sshd -t has not been run: the agent that it asks is another system's. There, ssh-tpm "
                     "hostkeys --check tells whether all is well.\n";
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
