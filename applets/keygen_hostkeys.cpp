// keygen -A: the host keys that are not there yet.

#include "applets/keygen_create.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "os/paths.hpp"

#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

struct HostKey {
    std::string_view type, label;
};

constexpr std::array host_keys{HostKey{"ecdsa", "ECDSA"}, HostKey{"rsa", "RSA"}};

void make_folders(const fs::path& folder) {
    if (folder.empty() || fs::is_directory(folder))
        return;
    make_folders(folder.parent_path());
    make_folder(folder, 0755);
}

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(fs::symlink_status(path, ignored));
}

/// The public half of a key that is there goes missing more easily than it is missed: it is written again.
void complete(const KeyPaths& paths) {
    if (is_there(paths.pub))
        return;
    const auto identity = read_identity(paths.key);
    write_public_half(paths.pub, identity, Existing::keep);
}

} // namespace

int keygen_host_keys(const KeygenOptions& options) {
    const auto folder = fs::path(options.file.value_or("") + "/etc/ssh");
    make_folders(folder);
    const auto comment = options.comment.value_or("root@" + os::host_name());
    require_comment(comment);

    std::unique_ptr<tpm::Device> device; // opened for the first key that is missing: at most boots none is
    for (const auto& host_key : host_keys) {
        const auto paths =
            paths_for((folder / ("ssh_tpm_host_" + std::string(host_key.type) + "_key")).string());
        if (is_there(paths.key)) {
            complete(paths);
            continue;
        }
        if (!device)
            device = options.open_device();
        if (!options.quiet)
            std::cout << "ssh-tpm-keygen: generating new host key: " << host_key.label << '\n' << std::flush;
        // sshd cannot type a PIN, so a host key has none.
        const auto identity = make_key(*device, choose_algorithm(std::string(host_key.type), std::nullopt),
                                       nullptr, comment, options.parent);
        write_file(paths.key, bytes_of(keyfile::to_key_file(*identity.key)), 0600, Existing::keep);
        write_public_half(paths.pub, identity,
                          Existing::replace); // one without its key is of no use to anybody
    }
    return 0;
}

} // namespace sshtpm::applets
