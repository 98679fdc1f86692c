// SPDX-License-Identifier: MIT
#include "agent/confinement.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "identity/identity.hpp"
#include "os/harden.hpp"
#include "os/key_tree.hpp"
#include "os/sandbox.hpp"
#include "ssh/digest.hpp"
#include "tpm/transport.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace sshtpm::agent {

namespace {

namespace fs = std::filesystem;

/// The folder of the file that is written at its first use; made if it is missing, because no right can be
/// given to a missing one.
fs::path folder_to_write(const tpm::Target& target) {
    if (target.known_tpms.empty() || target.known_tpms_use != tpm::KnownTpmsUse::user)
        return {};
    std::error_code failure;
    const auto real = fs::weakly_canonical(target.known_tpms, failure);
    const auto folder = (failure ? target.known_tpms : real).parent_path();
    try { // caught because the agent then goes on without the file
        make_folders(folder, 0700);
    } catch (const Error& error) {
        log::debug(error.what());
    }
    return folder;
}

fs::path absolute_if_any(const fs::path& path) {
    return path.empty() ? path : fs::absolute(path);
}

/// The absolute paths in the configuration of a TCTI, such as a device, that exist.
std::vector<fs::path> paths_in(std::string_view tcti) {
    std::vector<fs::path> paths;
    while (!tcti.empty()) {
        const auto word = tcti.substr(0, tcti.find_first_of(",=:"));
        tcti.remove_prefix(std::min(word.size() + 1, tcti.size()));
        std::error_code failure;
        if (word.starts_with('/') && fs::exists(word, failure))
            paths.emplace_back(word);
    }
    return paths;
}

/// The present key files and their certificates. The agent reads these itself, because the opener takes
/// longer.
std::vector<fs::path> files_of_keys(const fs::path& key_dir) {
    std::vector<fs::path> files;
    if (key_dir.empty())
        return files;
    for (auto& file : os::read_key_tree(key_dir).files) {
        files.push_back(identity::certificate_file(file));
        files.push_back(std::move(file));
    }
    return files;
}

os::SandboxRules rules_for(const tpm::Target& target, const fs::path& key_dir) {
    const auto needs =
        target.emulator_state.empty() ? tpm::needs_of(target.tcti) : tpm::TctiNeeds{.sockets = true};
    os::SandboxRules rules{.readable_files = files_of_keys(key_dir),
                           .writable = {folder_to_write(target), target.emulator_state, "/dev/null"},
                           .sockets = needs.sockets,
                           .network = needs.network,
                           .libraries = needs.libraries};
    // For the names of users and groups in errors, and of hosts.
    for (const char* file : {"/etc/nsswitch.conf", "/etc/passwd", "/etc/group"})
        rules.readable.emplace_back(file);
    if (needs.network)
        for (const char* file :
             {"/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services"})
            rules.readable.emplace_back(file);
    if (needs.libraries) {
        for (const char* path : {"/usr", "/etc/ld.so.cache", "/etc/machine-id", "/var/lib/dbus/machine-id"})
            rules.readable.emplace_back(path);
        std::ranges::move(os::library_folders(), std::back_inserter(rules.readable));
        const std::string_view tcti = target.tcti;
        const auto library = tcti.substr(0, tcti.find(':'));
        rules.readable.push_back(fs::path(library).parent_path());
        std::ranges::move(paths_in(tcti.substr(library.size())), std::back_inserter(rules.writable));
        for (const char* device : {"/dev/tpmrm0", "/dev/tpm0"}) // the library may choose the device itself
            rules.writable.emplace_back(device);
    }
    return rules;
}

/// As os::enter_sandbox, with a hint.
int enter(const os::SandboxRules& rules, ListeningSocket& socket) {
    try { // caught to add the hint
        return os::enter_sandbox(rules);
    } catch (const Error& error) {
        socket.remove(); // by the opener, if Landlock is in force already
        throw Error(error.code(), error.what(), "`--no-sandbox` starts the agent without it");
    }
}

/// @throws Error(usage) for a TCTI that runs programs
void require_no_programs(const std::string& tcti) {
    if (tcti.starts_with("cmd:") || tcti.find("tcti-cmd") != std::string::npos)
        throw Error(Errc::usage, "a TCTI that runs programs does not work in the agent's sandbox",
                    "give --no-sandbox too");
}

} // namespace

Confinement::Confinement(tpm::Target& target, const fs::path& key_dir, const std::vector<fs::path>& upstreams,
                         ListeningSocket& socket, bool sandbox)
    : socket_(socket) {
    if (sandbox) {
        require_no_programs(target.tcti);
        if (!target.emulator_state.empty())
            target.emulator_starter = tpm::make_emulator_starter(target.emulator_state);
        opener_ = std::make_unique<os::FileOpener>(
            os::Openable{.key_folder = key_dir,
                         .readable = absolute_if_any(target.known_tpms),
                         .device = absolute_if_any(tpm::device_path(target.tcti)),
                         .sockets = upstreams,
                         .own_socket = socket.has_own_file() ? socket.path() : fs::path()});
    }
    os::raise_descriptor_limit(); // after the companions are there: others must not inherit it
    os::return_large_buffers();
    if (!sandbox) {
        os::give_up_new_privileges();
        log::warning("no sandbox: this agent can do all that its user can");
        return;
    }
    ssh::digest(ssh::Hash::sha256, {}); // at its first use libcrypto reads its settings and loads modules
    const int abi = enter(rules_for(target, key_dir), socket);
    in_force_ = abi > 0 ? "seccomp, Landlock " + std::to_string(abi) : "seccomp";
    log::debug("sandbox: ", in_force_);
    if (abi == 0)
        log::warning(
            "this kernel has no Landlock: the sandbox does not restrict this agent's access to files");
}

} // namespace sshtpm::agent
