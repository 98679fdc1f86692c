#pragma once
// Files, read with a ceiling. base/staged_file writes them.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>

namespace sshtpm {

/// The content of a regular file of at most `ceiling` bytes. Never waits on a FIFO or a device.
/// @throws Error(not_found | permission | io | malformed)
Bytes read_file(const std::filesystem::path& path, std::size_t ceiling);

/// The same into guarded memory, for a file that holds a private key; no copy of it is anywhere else.
Secret read_secret_file(const std::filesystem::path& path, std::size_t ceiling);

/// Whether a file of any kind has this name, a dangling symbolic link included.
///
/// @throws Error when the system does not say, as in a folder without search permission: such a file is
///     neither there nor missing.
bool is_there(const std::filesystem::path& path);

/// Tells one content of a path from another: write_file and rewrite_file always make a new file.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t modified = 0; ///< nanoseconds since 1970
    off_t size = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

FileStamp stamp_of(const struct stat& status) noexcept;
/// All zero when the file is missing or cannot be seen; is_there tells these apart.
FileStamp stamp_of(const std::filesystem::path& path) noexcept;

/// Makes a folder with this mode, whatever the umask, unless it is there.
/// @returns true when it was made.
bool make_folder(const std::filesystem::path& path, mode_t mode);
/// The same, with the folders above it that are missing. A file in its place stays: using the folder fails
/// then.
void make_folders(const std::filesystem::path& path, mode_t mode);

/// flock(2), waited for: the kernel has no deadline for it, so it is tried every few milliseconds.
/// @param operation LOCK_EX or LOCK_SH
/// @param name of the file, for errors
/// @returns false when another process keeps the lock for longer than `patience`.
bool lock_file(const UniqueFd& file, int operation, std::chrono::milliseconds patience,
               std::string_view name);

} // namespace sshtpm
