#pragma once
// Files, read with a ceiling and written whole or not at all.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <filesystem>
#include <sys/types.h>

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

enum class Existing { keep, replace };

/// Writes the file under a temporary name, syncs it, gives it its name and syncs the folder, so that at
/// any moment the old or the new content is there and nothing between. `mode` is the file's mode whatever
/// the umask. With `Existing::keep` a file that has appeared meanwhile is left alone.
/// @throws Error(exists | not_found | permission | io)
void write_file(const std::filesystem::path& path, ByteView content, mode_t mode, Existing existing);

/// What tells one content of a path from another: write_file always makes a new file.
struct FileStamp {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t modified = 0; ///< nanoseconds since 1970
    off_t size = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// All zero when there is no file.
FileStamp stamp_of(const std::filesystem::path& path) noexcept;

/// Makes a folder with this mode, whatever the umask, unless it is there.
/// @returns true when it was made.
bool make_folder(const std::filesystem::path& path, mode_t mode);

} // namespace sshtpm
