// SPDX-License-Identifier: MIT
#pragma once
// Opens files, connects to sockets and removes one, for a process in a sandbox: that process asks a
// companion, which takes only the paths that were fixed before, and sends the descriptor (SCM_RIGHTS).

#include "base/file.hpp"
#include "os/forked.hpp"

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::os {

/// The files that may be opened, all by absolute paths. Empty paths are none.
struct Openable {
    /// Folders in and below it may be listed, and files *.tpm and *-cert.pub there may be read, also through
    /// symbolic links.
    std::filesystem::path key_folder = {};
    std::filesystem::path readable = {};             ///< this file may be read
    std::filesystem::path device = {};               ///< this device may be read and written
    std::vector<std::filesystem::path> sockets = {}; ///< to these one may connect
    std::filesystem::path own_socket = {};           ///< the socket that is there at the start may be removed
    // And /proc/PID/stat may be read, with any number.
};

enum class OpenKind : std::uint8_t { file = 1, folder = 2, device = 3, socket = 4, removal = 5 };

/// A request to the companion: a byte for the kind, and the path.
struct OpenRequest {
    OpenKind kind;
    std::string path;
};

/// @returns nothing for a malformed request: an unknown kind, or a path that is not absolute or has a NUL
std::optional<OpenRequest> parse_open_request(ByteView message);

bool may_open(const OpenRequest& request, const Openable& openable);

/// The companion; the opener of this process while this object lives. Threads take turns.
class FileOpener final : public Opener {
  public:
    /// @throws Error(io)
    explicit FileOpener(const Openable& openable);
    ~FileOpener() override;

    UniqueFd open(const std::filesystem::path& path, int flags) override;
    UniqueFd connect(const std::filesystem::path& socket) override;
    /// For the end of this process: it waits for another thread, and for a companion that is stopped, for a
    /// second each. So do later requests; after one without a reply, all fail.
    bool unlink(const std::filesystem::path& path) override;

  private:
    UniqueFd ask(OpenKind kind, const std::filesystem::path& path);
    UniqueFd ask_in_turn(OpenKind kind, const std::filesystem::path& path);

    Companion companion_;
    std::timed_mutex turn_;
    bool told_ = false; ///< that the companion has ended
};

} // namespace sshtpm::os
