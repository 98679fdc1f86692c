// SPDX-License-Identifier: MIT
#pragma once
// A TPM of its own for each test: a private swtpm on UNIX sockets in a private folder, dead with its test.

#include "base/unique_fd.hpp"
#include "support/temp_folder.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace support {

class Swtpm {
  public:
    /// Makes a fresh TPM and starts it; it can be talked to when the constructor returns.
    Swtpm();
    Swtpm(const Swtpm&) = delete;
    Swtpm& operator=(const Swtpm&) = delete;
    ~Swtpm();

    /// The string for the TCTI loader, "swtpm:path=…". Connecting while stopped is refused.
    std::string tcti() const;
    const std::filesystem::path& folder() const noexcept { return folder_.path(); }

    /// Power off and on: persistent state and NV stay, loaded objects and sessions are gone.
    void stop() noexcept;
    void start();

    /// Transient objects + loaded sessions + saved sessions. A TPM test ends by requiring zero.
    std::size_t loaded_handles() const;

  private:
    TempFolder folder_;
    pid_t pid_ = -1;
};

} // namespace support
