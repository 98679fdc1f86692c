// SPDX-License-Identifier: MIT
#include "os/key_tree.hpp"

#include "base/file.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <span>
#include <sys/stat.h>
#include <utility>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

/// The levels of subfolders that are read.
constexpr int subfolder_levels = 2;

struct FolderCloser {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

/// Follows no link.
bool is_real_folder(int parent, const char* name) {
    struct stat status = {};
    return ::fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/// Adds the key files and the problem of one folder. @returns its subfolders by name
std::vector<fs::path> read_folder(const fs::path& folder, KeyTree& tree) {
    std::vector<fs::path> files, subfolders;
    auto opened = open_path(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, FolderCloser> entries(opened ? ::fdopendir(opened.value()) : nullptr);
    if (entries)
        (void)opened.release();
    const dirent* entry = nullptr;
    for (errno = entries ? 0 : errno; entries && (entry = ::readdir(entries.get())) != nullptr; errno = 0) {
        const std::string_view name(entry->d_name);
        if (name == "." || name == "..")
            continue;
        if (is_real_folder(::dirfd(entries.get()), entry->d_name)) {
            if (is_key_folder_name(name))
                subfolders.push_back(folder / name);
        } else if (fs::path(name).extension() == ".tpm") {
            files.push_back(folder / name);
        }
    }
    tree.incomplete |= errno != 0 && errno != ENOENT && errno != EACCES && errno != ENOTDIR && errno != ELOOP;
    if (errno != 0 && errno != ENOENT)
        tree.problems.push_back(printable(folder.string()) + ": " + std::strerror(errno));
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
