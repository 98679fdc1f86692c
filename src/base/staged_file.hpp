// SPDX-License-Identifier: MIT
#pragma once
// Writes and removes files whole or not at all.

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unique_fd.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace sshtpm {

enum class Existing { keep, replace };

/// A new content, written and synced to a temporary file in the same folder. One step puts it in place, so
/// that readers see the old content or the new one, and nothing between.
class StagedFile {
  public:
    /// A new file. Its mode does not depend on the umask. A symbolic link of this name is not followed, but
    /// kept or replaced as any other file.
    /// @throws Error(not_found | permission | io)
    StagedFile(const std::filesystem::path& path, ByteView content, mode_t mode, Existing existing);

    /// A new content for an existing file. Follows symbolic links. The file keeps its owner, group, mode,
    /// access list and extended attributes.
    /// @param read the file's stamp from before the caller read it
    /// @throws Error(exists) if the stamp is another one now, or if the file has several hard links, because
    ///     the others would keep the old content; Error(not_found | permission | io | malformed)
    StagedFile(const std::filesystem::path& path, ByteView content, const FileStamp& read);

    /// The removal of a file, or of a symbolic link itself. There is nothing to commit().
    explicit StagedFile(const std::filesystem::path& path);

    StagedFile(const StagedFile&) = delete;
    StagedFile& operator=(const StagedFile&) = delete;
    ~StagedFile();

    /// Puts the file in place for good. @throws Error(exists | permission | io)
    void commit();

    /// Puts the file in place, or removes it, until accept() makes that final. Without accept(), the
    /// destructor brings the old file back; if it cannot, it logs the name that the old file has now.
    /// @throws Error(exists | not_found | permission | io), and then nothing has changed
    void take_place();
    void accept() noexcept;

  private:
    StagedFile(const std::filesystem::path& path, const std::filesystem::path& place);
    void write(ByteView content);
    bool rename(unsigned flags) noexcept;
    bool take_free_name() noexcept;
    bool set_old_aside();
    bool take_back() noexcept;
    void settle() noexcept;
    Error failure() const;

    enum class State {
        staged,
        placed,    ///< there was no old file
        set_aside, ///< the old file has the temporary name
        done,
    };

    std::filesystem::path path_; ///< for errors
    std::string name_;           ///< in the folder
    std::string temporary_;
    UniqueFd folder_; ///< open all the time, because its path may lead to another folder later
    UniqueFd file_;
    Existing existing_ = Existing::replace;
    State state_ = State::staged;
};

/// Puts both in place, or neither.
void commit(StagedFile& first, StagedFile& last);

// One file, by the two constructors.
void write_file(const std::filesystem::path& path, ByteView content, mode_t mode, Existing existing);
void rewrite_file(const std::filesystem::path& path, ByteView content, const FileStamp& read);

} // namespace sshtpm
