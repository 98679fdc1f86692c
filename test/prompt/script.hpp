// SPDX-License-Identifier: MIT
#pragma once
// A shell script as an askpass program.

#include "support/temp_folder.hpp"

#include <filesystem>
#include <fstream>
#include <string>

class Script {
  public:
    explicit Script(const std::string& body) : path_(folder_ / "askpass") {
        std::ofstream(path_) << "#!/bin/sh\n" << body << '\n';
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    }
    std::string path() const { return path_.string(); }

  private:
    support::TempFolder folder_;
    std::filesystem::path path_;
};
