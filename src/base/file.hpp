// SPDX-License-Identifier: MIT
#pragma once
// Reads files up to a ceiling, removes them, makes folders, takes locks; what a sandbox denies, another
// process does. base/staged_file writes files.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace sshtpm {

/// Does for this process what its sandbox denies to it (os/opener.hpp). On failure, errno is set.
class Opener {
  public:
    Opener() = default;
    Opener(const Opener&) = delete;
    Opener& operator=(const Opener&) = delete;
    virtual ~Opener() = default;

    virtual UniqueFd open(const std::filesystem::path& path, int flags) = 0; ///< as open(2)
    virtual UniqueFd connect(const std::filesystem::path& socket) = 0;       ///< as os::connect_to
    virtual bool unlink(const std::filesystem::path& path) = 0;              ///< as unlink(2)
};

/// Sets the opener of this process; null is none. Call it while there is one thread.
void use_opener(Opener* opener) noexcept;
Opener* opener() noexcept;

/// Opens a file or a folder as open(2) does. If this process may not (EACCES), asks the opener.
/// @returns an empty one, with errno set, on failure
UniqueFd open_path(const std::filesystem::path& path, int flags);
/// Removes a file as unlink(2) does, or asks the opener. @returns false, with errno set, on failure
bool unlink_path(const std::filesystem::path& path);

/// Which files a function reads.
enum class FileKind {
    regular, ///< refuses a FIFO or a device without waiting for it
    any, ///< for a name that a person gave: waits for the data of a FIFO or a device; "-" is standard input
};

/// @param ceiling the largest size in bytes
/// @throws Error(not_found | permission | io | malformed)
Bytes read_file(const std::filesystem::path& path, std::size_t ceiling, FileKind kind = FileKind::regular);

/// Reads a private key that a person named; leaves no copy outside the guarded memory.
Secret read_secret_file(const std::filesystem::path& path, std::size_t ceiling);

/// The name of a file that a person named, for messages: "(stdin)" for "-".
std::string shown_name(const std::filesystem::path& path);

/// True for a file of any kind, also for a dangling symbolic link.
/// @throws Error if the system does not tell, for example in a folder without search permission
bool is_there(const std::filesystem::path& path);

/// All that is in a folder, by name. @throws Error that names the folder
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);

/// Identifies a version of a file. It changes when the file is replaced, and normally when it is
/// written to. write_file and rewrite_file always replace the file.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t modified = 0; ///< nanoseconds since 1970
    off_t size = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

FileStamp stamp_of(const struct stat& status) noexcept;
/// All zero for a file that is missing or that this user cannot see; is_there tells these two apart.
FileStamp stamp_of(const std::filesystem::path& path) noexcept;

/// True if the content that was read may not be the whole one: a process has the file open for writing, which
/// inotify will report as IN_CLOSE_WRITE, or the file has another stamp now. The system tells who writes only
/// for the files of this user, and not in every file system.
/// @param read the file's stamp from before it was read
bool is_being_written(const std::filesystem::path& path, const FileStamp& read);

/// Makes the folder if it is missing. Its mode does not depend on the umask.
/// @returns true if it was made
bool make_folder(const std::filesystem::path& path, mode_t mode);
/// Makes the folder and its missing parents. Does nothing if a file has this path; using the folder then
/// fails.
void make_folders(const std::filesystem::path& path, mode_t mode);

/// Takes a lock of flock(2). The kernel has no timeout for it, so this tries every two milliseconds.
/// @param operation LOCK_EX or LOCK_SH
/// @param name the file's name, for errors
/// @returns false if another process holds the lock for longer than `patience`
bool lock_file(const UniqueFd& file, int operation, std::chrono::milliseconds patience,
               std::string_view name);

/// Locks a folder with LOCK_EX. @returns nothing if another process holds the lock for longer than `patience`
UniqueFd lock_folder(const std::filesystem::path& folder, std::chrono::milliseconds patience);

} // namespace sshtpm
