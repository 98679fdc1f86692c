// SPDX-License-Identifier: MIT
#pragma once
// Installs and removes the files of data/ that are compiled into the program, for systemd and sshd.

#include "base/staged_file.hpp"
#include "os/signals.hpp"

#include <filesystem>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

struct InstalledFile {
    std::string_view name; ///< after a kind: "system/", "user/", "sshd/", "sysusers/", "tmpfiles/"
    std::string_view text; ///< with "@PROGRAM@" where the program's path belongs
};

/// data/embed.py writes it.
std::span<const InstalledFile> installed_files();

/// $DESTDIR, a tree in place of the root of the file system, such as that of an image or a package: absolute
/// and without symbolic links, so that the paths of programs can be compared with it; or empty.
std::string destdir();

/// Follows symbolic links from the root of this system, so an absolute one in a tree leads out of it.
/// @throws Error(refused) for a folder that is not below `root`
void require_inside(const std::filesystem::path& root, const std::filesystem::path& folder);

/// The path of the running ssh-tpm, as it will be without DESTDIR in front.
/// @throws Error(not_found) when the program has been replaced or removed since it started.
std::filesystem::path running_program();

/// Installs or uninstalls files, all of them or none: the destructor takes back what was done, unless keep()
/// was called. Signals wait until then.
class Installation {
  public:
    Installation() = default;
    Installation(const Installation&) = delete;
    Installation& operator=(const Installation&) = delete;
    ~Installation();

    enum class MissingFolder {
        refused, ///< the program that reads it is not installed
        made,
    };
    /// The files of a kind, for the folder `name`, such as "systemd/system", in `parent` (DESTDIR comes in
    /// front).
    void add(std::string_view kind, const std::filesystem::path& parent, std::string_view name,
             MissingFolder missing = MissingFolder::refused);
    /// A file whose text is not compiled in, with a test for the texts that it may have had before.
    /// @param missing_hint for an error about its folder; empty: the usual one
    void add_text(const std::filesystem::path& parent, std::string_view name, std::string text,
                  bool (*is_former)(std::string_view text), std::string missing_hint);

    /// Writes the files that are not there yet, or there with a former text. With DESTDIR all folders are
    /// made. Does nothing if a package has installed the same files below /usr.
    /// @throws Error(exists) for a file with another content, unless `force`; Error(not_found) for a folder.
    void install(bool force);
    /// Removes the files that exist, and the links that enable a removed unit. Links to no regular file, such
    /// as those of masked units, stay unless `force`.
    /// @throws Error(exists) as install. @returns whether there were any.
    bool uninstall(bool force);
    /// The files that were written or removed, and the links.
    const std::vector<std::filesystem::path>& done() const noexcept { return done_; }
    /// Makes it final, and prints which files were written, or removed.
    void keep(std::string_view done);

  private:
    struct File {
        std::filesystem::path path;
        std::filesystem::path name; ///< of its folder and its own: "systemd/system/ssh-tpm-hostkeys.socket"
        std::string text;
        MissingFolder missing;
        bool (*is_former)(std::string_view text) = nullptr;
        std::string missing_hint = {};
    };

    static bool is_ours(std::string_view there, const File& file);

    static bool is_packaged(const File& file);
    /// No symbolic link leads out of DESTDIR.
    void require_in_tree() const;
    void make_folders(const std::filesystem::path& folder);

    os::BlockedSignals blocked_;
    std::vector<File> files_;
    std::vector<std::filesystem::path> made_; ///< folders, outer ones first
    std::vector<std::filesystem::path> done_; ///< files that were written or removed, and links
    std::list<StagedFile> staged_;            ///< the same
};

} // namespace sshtpm::applets
