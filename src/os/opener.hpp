// SPDX-License-Identifier: MIT
#pragma once
// Opens files, and connects to sockets, for a process in a sandbox: that process asks a companion, which
// takes only those that were fixed before, and sends the descriptor (SCM_RIGHTS).

#include "base/file.hpp"
#include "os/forked.hpp"

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/un.h>
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
    // And /proc/PID/stat may be read, with any number.
};

enum class OpenKind : std::uint8_t { file = 1, folder = 2, device = 3, socket = 4 };

/// A request to the companion: a byte for the kind, and the path.
struct OpenRequest {
    OpenKind kind;
    std::string path;
};

/// @returns nothing for a malformed request: an unknown kind, or a path that is not absolute or has a NUL
std::optional<OpenRequest> parse_open_request(ByteView message);

bool may_open(const OpenRequest& request, const Openable& openable);

/// The companion.
class FileOpener {
  public:
    /// @throws Error(io)
    explicit FileOpener(const Openable& openable);

    /// For base/file's use_opener. Threads take turns.
    UniqueFd open(const std::filesystem::path& path, int flags);
    /// For os::use_connector.
    UniqueFd connect(const sockaddr_un& address);

  private:
    UniqueFd ask(OpenKind kind, std::string_view path);

    Companion companion_;
    std::mutex turn_;
    bool told_ = false; ///< that the companion has ended
};

} // namespace sshtpm::os
