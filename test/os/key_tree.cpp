// SPDX-License-Identifier: MIT
#include "os/key_tree.hpp"

#include "support/test.hpp"

#include <algorithm>
#include <filesystem>

using namespace sshtpm;
using namespace support;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

void put_in(const fs::path& folder, const std::string& name) {
    fs::create_directories(folder);
    put(folder / name);
}

Names relative(const std::vector<fs::path>& paths, const fs::path& folder) {
    Names out;
    for (const auto& path : paths)
        out.push_back(path.lexically_relative(folder).string());
    return out;
}

Names files_in(const fs::path& folder) {
    const auto tree = os::read_key_tree(folder);
    CHECK(tree.problems == Names());
    return relative(tree.files, folder);
}

} // namespace

TEST_CASE("a tree has the .tpm files of its folder by name, then those of its subfolders and of theirs") {
    const TempFolder folder;
    for (const char* name : {"z.tpm", "a.tpm", "id.pub", "config", "tpm", ".tpm", ".hidden.tpm"})
        put(folder / name);
    put_in(folder / "b", "1.tpm");
    put_in(folder / "b" / "deep", "2.tpm");
    put_in(folder / "a", "3.tpm");
    put_in(folder / "x.tpm", "4.tpm"); // a folder, not a file
    fs::create_symlink("nowhere", folder / "link.tpm");
    CHECK(files_in(folder.path()) == Names{".hidden.tpm", "a.tpm", "link.tpm", "z.tpm", "a/3.tpm", "b/1.tpm",
                                           "x.tpm/4.tpm", "b/deep/2.tpm"});
}

TEST_CASE(
    "a third level, hidden folders and links to folders are left out, though the folder may be a link") {
    const TempFolder folder, elsewhere;
    put_in(folder / "one" / "two", "a.tpm");
    put_in(folder / "one" / "two" / "three", "b.tpm");
    put_in(folder / ".git", "c.tpm");
    put_in(folder / "one" / ".git", "d.tpm");
    put_in(folder / ".git" / "one", "e.tpm");
    put(elsewhere / "f.tpm");
    for (const char* link : {"link", "link.tpm", "one/link"})
        fs::create_directory_symlink(elsewhere.path(), folder / link);
    fs::create_directory_symlink(folder.path(), elsewhere / "keys");
    for (const auto& name : files_in(folder.path()))
        CHECK((name == "one/two/a.tpm" || name == "link.tpm"));
    CHECK(files_in(elsewhere / "keys") == files_in(folder.path()));
}

TEST_CASE("a folder that is missing has no files, and one that cannot be read is a problem") {
    const TempFolder folder;
    CHECK(files_in(folder / "nowhere").empty());
    put(folder / "file");
    const auto tree = os::read_key_tree(folder / "file");
    CHECK(tree.files.empty());
    REQUIRE(tree.problems.size() == 1);
    CHECK(tree.problems[0] == (folder / "file").string() + ": Not a directory");
}

TEST_CASE("so many folders are read as there may be, the upper ones first, and more are a problem") {
    const TempFolder folder;
    put_in(folder / "b", "upper.tpm");
    const auto others = os::max_key_folders - 3; // the folder, "a" and "b"
    for (std::size_t i = 1; i < others; ++i)
        fs::create_directories(folder / "a" / std::to_string(1000 + i));
    put_in(folder / "a" / "last", "last.tpm");
    CHECK(files_in(folder.path()) == Names{"b/upper.tpm", "a/last/last.tpm"});
    fs::create_directory(folder / "a" / "first");
    const auto tree = os::read_key_tree(folder.path());
    CHECK(relative(tree.files, folder.path()) == Names{"b/upper.tpm"});
    CHECK(tree.problems == Names{folder.path().string() + ": has too many subfolders: " +
                                 (folder / "a" / "last").string() + " and those after it are not read"});
}

TEST_CASE("each folder is told before it is read, so that a file put there at this moment is found") {
    const TempFolder folder;
    fs::create_directories(folder / "one" / "two");
    Names told;
    const auto tree = os::read_key_tree(folder.path(), [&](const fs::path& path, bool with_subfolders) {
        told.push_back(path.lexically_relative(folder.path()).string() + (with_subfolders ? " +" : ""));
        put(path / "key.tpm");
    });
    CHECK(told == Names{". +", "one +", "one/two"});
    CHECK(relative(tree.files, folder.path()) == Names{"key.tpm", "one/key.tpm", "one/two/key.tpm"});
}
