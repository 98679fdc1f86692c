#pragma once
// Reads files up to a ceiling, makes folders, takes locks. base/staged_file writes files.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>

namespace sshtpm {

/// @param ceiling the largest size in bytes; a FIFO or a device is refused without waiting for it
/// @throws Error(not_found | permission | io | malformed)
Bytes read_file(const std::filesystem::path& path, std::size_t ceiling);

/// The same for a private key: leaves no copy outside of the guarded memory.
Secret read_secret_file(const std::filesystem::path& path, std::size_t ceiling);

/// Whether there is a file of any kind, a dangling symbolic link included.
/// @throws Error if the system does not tell, for example in a folder without search permission
bool is_there(const std::filesystem::path& path);

/// Differs when a file was replaced or written to. write_file and rewrite_file always make a new file.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t modified = 0; ///< nanoseconds since 1970
    off_t size = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

FileStamp stamp_of(const struct stat& status) noexcept;
/// All zero for a file that is missing or that this user cannot see; is_there tells the two apart.
FileStamp stamp_of(const std::filesystem::path& path) noexcept;

/// Makes a folder unless there is one. The mode does not depend on the umask.
/// @returns whether it was made
bool make_folder(const std::filesystem::path& path, mode_t mode);
/// Also makes the missing folders above it. Does nothing where there is a file: using the folder fails then.
void make_folders(const std::filesystem::path& path, mode_t mode);

/// flock(2) with a deadline, which the kernel does not have: tries every two milliseconds.
/// @param operation LOCK_EX or LOCK_SH
/// @param name of the file, for errors
/// @returns false if another process holds the lock for longer than `patience`
bool lock_file(const UniqueFd& file, int operation, std::chrono::milliseconds patience,
               std::string_view name);

} // namespace sshtpm
