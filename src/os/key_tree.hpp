// SPDX-License-Identifier: MIT
#pragma once
// Finds the key files in a folder and its subfolders.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// How many folders of one tree are read, the first one included. It bounds the time that a tree with
/// thousands of folders takes, and the watches on it.
inline constexpr std::size_t max_key_folders = 256;

struct KeyTree {
    std::vector<std::filesystem::path> files; ///< *.tpm; those of a folder before those of its subfolders
    std::vector<std::string> problems;        ///< folders that were not read, and why, for the log
    bool incomplete = false; ///< one of them for a reason that is not its own, such as EMFILE
};

/// Called with each folder before it is read, and with true if its subfolders will be read too.
using BeforeReading = std::function<void(const std::filesystem::path& folder, bool with_subfolders)>;

/// Reads a folder, its subfolders and theirs, in the order of their names. Leaves out hidden subfolders and
/// symbolic links to folders; `folder` itself may be a link. A folder that is missing has no files.
KeyTree read_key_tree(const std::filesystem::path& folder, const BeforeReading& before_reading = {});

/// True for the names of subfolders that are read: all but hidden ones.
bool is_key_folder_name(std::string_view name);

} // namespace sshtpm::os
