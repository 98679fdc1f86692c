#pragma once
// Files, written whole or not at all.

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unique_fd.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace sshtpm {

enum class Existing { keep, replace };

/// A content, written and synced under a temporary name in its folder, until it takes its place in one step:
/// at any moment the old or the new content is there and nothing between.
class StagedFile {
  public:
    /// A new file with this mode, whatever the umask. No symbolic link is followed: with `Existing::keep` a
    /// link of this name stays, as any file does, and with `Existing::replace` it is replaced.
    /// @throws Error(not_found | permission | io)
    StagedFile(const std::filesystem::path& path, ByteView content, mode_t mode, Existing existing);

    /// Another content for an existing file, written where symbolic links lead. The file keeps its owner,
    /// group, mode, access list and extended attributes.
    /// @param read the stamp from before the caller read the file. A file with another stamp is left alone:
    ///     a link may lead elsewhere by now, or another program may have written.
    /// @throws Error(exists) for such a file, and for a file with several hard links, since the others would
    ///     keep the old content; Error(not_found | permission | io | malformed)
    StagedFile(const std::filesystem::path& path, ByteView content, const FileStamp& read);

    StagedFile(const StagedFile&) = delete;
    StagedFile& operator=(const StagedFile&) = delete;
    ~StagedFile();

    /// Takes its place, for good. @throws Error(exists | permission | io)
    void commit();

    /// Takes its place; the destructor takes that back unless accept() was called. On a file system that
    /// cannot exchange two files (NFS) an old file is replaced for good.
    void take_place();
    void accept() noexcept;

  private:
    StagedFile(const std::filesystem::path& path, const std::filesystem::path& place);
    void write(ByteView content);
    bool rename(unsigned flags) noexcept;
    bool take_free_name() noexcept;
    bool exchange() noexcept;
    void settle() noexcept;
    Error failure() const;

    enum class State {
        staged,
        taken,     ///< nothing was there
        exchanged, ///< the old file has the temporary name now
        done,
    };

    std::filesystem::path path_; ///< as it was named
    std::string name_;           ///< in the folder
    std::string temporary_;
    UniqueFd folder_; ///< held open: one folder is meant, whatever happens to its path meanwhile
    UniqueFd file_;
    Existing existing_ = Existing::replace;
    State state_ = State::staged;
};

/// Both take their places, or neither does; on NFS a replaced first file stays when the last one fails.
void commit(StagedFile& first, StagedFile& last);

/// One file, by the two constructors.
void write_file(const std::filesystem::path& path, ByteView content, mode_t mode, Existing existing);
void rewrite_file(const std::filesystem::path& path, ByteView content, const FileStamp& read);

} // namespace sshtpm
