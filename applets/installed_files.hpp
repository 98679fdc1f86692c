#pragma once
// The files of data/ that the program can install, compiled in: data/embed.py writes the .cpp.

#include <span>
#include <string_view>

namespace sshtpm::applets {

struct InstalledFile {
    std::string_view
        name; ///< "system/ssh-tpm-hostkeys.socket", "user/…", "sshd/…", "sysusers/…", "tmpfiles/…"
    std::string_view text; ///< with "@PROGRAM@" where the program's path belongs
};

std::span<const InstalledFile> installed_files();

} // namespace sshtpm::applets
