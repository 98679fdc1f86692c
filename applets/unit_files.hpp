#pragma once
// Putting the compiled-in files where systemd and sshd read them, and taking them away.

#include "base/bytes.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace sshtpm::applets {

/// The beginning of an ExecStart= line (systemd.service(5)) that runs the program at `path`, whatever bytes
/// the path has. systemd refuses quotes, backslashes and control characters in a program's own name, so such
/// a path goes through a shell as an argument, which may have them.
std::string exec_word(std::string_view path);

/// The path of the running ssh-tpm, as it will be without DESTDIR in front.
/// @throws Error(not_found) when the program has been replaced or removed since it started.
std::filesystem::path running_program();

class Installation {
  public:
    enum class MissingFolder {
        refused, ///< whoever reads it is not there
        made,
    };
    /// A file of installed_files, for `folder` (DESTDIR comes in front).
    void add(std::string_view name, const std::filesystem::path& folder,
             MissingFolder missing = MissingFolder::refused);

    /// Writes what is not there yet; what was written is taken back when one of the files cannot be. With
    /// DESTDIR all folders are made.
    /// @throws Error(exists) for a file with another content, unless `force`; Error(not_found) for a folder.
    void install(bool force);
    /// Removes the files that are there; links that point to nothing readable, as those of masked units, stay
    /// unless `force`. @throws Error(exists) as install. @returns whether there were any.
    bool uninstall(bool force);
    /// Says on standard output which files were written, or removed.
    void tell(std::string_view done) const;
    /// Puts back what `install` or `uninstall` found: contents, modes and symbolic links; folders that were
    /// made are removed.
    void take_back() noexcept;

  private:
    struct File {
        std::filesystem::path path;
        std::string text;
        MissingFolder missing;
    };
    struct Before {
        std::filesystem::path path;
        std::optional<Bytes> content; ///< nothing: there was no file
        struct stat status {};        ///< of a file that was no link
        std::filesystem::path link{}; ///< what it pointed to, when it was a symbolic link
    };

    /// What is written, and removed, is the tree's.
    void require_in_tree() const;
    static Before look_at(const std::filesystem::path& path);
    static void put_back(const Before& before);
    void make_folders(const std::filesystem::path& folder);

    std::vector<File> files_;
    std::vector<Before> before_;
    std::vector<std::filesystem::path> made_; ///< folders, outer ones first
};

} // namespace sshtpm::applets
