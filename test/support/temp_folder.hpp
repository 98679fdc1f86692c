// SPDX-License-Identifier: MIT
#pragma once
// A private folder under the system's temporary one, gone with its owner.

#include <filesystem>
#include <string_view>

namespace support {

class TempFolder {
  public:
    /// Made with mode 0700.
    TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    ~TempFolder();

    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

} // namespace support
