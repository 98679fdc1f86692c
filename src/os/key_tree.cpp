// SPDX-License-Identifier: MIT
#include "os/key_tree.hpp"

#include "base/printable.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

/// The levels of subfolders that are read.
constexpr int subfolder_levels = 2;

/// Follows no link.
bool is_real_folder(const fs::directory_entry& entry) {
    std::error_code gone;
    return !entry.is_symlink(gone) && entry.is_directory(gone);
}

/// Adds the key files and the problem of one folder. @returns its subfolders by name
std::vector<fs::path> read_folder(const fs::path& folder, KeyTree& tree) {
    std::vector<fs::path> files, subfolders;
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure)) {
        const auto& path = entry->path();
        if (is_real_folder(*entry)) {
            if (is_key_folder_name(path.filename().native()))
                subfolders.push_back(path);
        } else if (path.extension() == ".tpm") {
            files.push_back(path);
        }
    }
    if (failure && failure != std::errc::no_such_file_or_directory)
        tree.problems.push_back(printable(folder.string()) + ": " + failure.message());
    std::ranges::sort(files);
    std::ranges::sort(subfolders);
    std::ranges::move(files, std::back_inserter(tree.files));
    return subfolders;
}

} // namespace

bool is_key_folder_name(std::string_view name) {
    return !name.empty() && name.front() != '.';
}

KeyTree read_key_tree(const fs::path& folder, const BeforeReading& before_reading) {
    struct Folder {
        fs::path path;
        int depth;
    };
    KeyTree tree;
    std::vector<Folder> folders{{.path = folder, .depth = 0}};
    std::string left_out; // the first of the folders that are too many
    for (std::size_t i = 0; i < folders.size(); ++i) {
        const auto [path, depth] = folders[i]; // a copy, because the vector grows
        const bool with_subfolders = depth < subfolder_levels;
        if (before_reading)
            before_reading(path, with_subfolders);
        auto subfolders = read_folder(path, tree);
        if (!with_subfolders)
            continue;
        const auto room = std::min(subfolders.size(), max_key_folders - folders.size());
        if (left_out.empty() && room < subfolders.size())
            left_out = printable(subfolders[room].string());
        for (auto& subfolder : std::span(subfolders).first(room))
            folders.push_back({.path = std::move(subfolder), .depth = depth + 1});
    }
    if (!left_out.empty())
        tree.problems.push_back(printable(folder.string()) + ": has too many subfolders: " + left_out +
                                " and those after it are not read");
    return tree;
}

} // namespace sshtpm::os
