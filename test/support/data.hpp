// SPDX-License-Identifier: MIT
#pragma once
// The test vectors of test/data, found through the environment variable SSH_TPM_TEST_DATA.

#include "base/bytes.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace support {

/// The path of "folder/file" under test/data. @throws std::runtime_error when the variable is not set.
std::filesystem::path data_path(std::string_view name);

/// The file's content as it is on disk. @throws sshtpm::Error(not_found)
sshtpm::Bytes data_file(std::string_view name);
std::string data_text(std::string_view name);

} // namespace support
