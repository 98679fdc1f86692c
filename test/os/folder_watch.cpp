// SPDX-License-Identifier: MIT
#include "os/folder_watch.hpp"

#include "base/error.hpp"
#include "base/staged_file.hpp"
#include "os/in_process.hpp"
#include "support/test.hpp"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace sshtpm;
using namespace support;
namespace fs = std::filesystem;
using os::FolderWatch;

namespace {

/// inotify tells before the call that made the change returns, so there is nothing to wait for.
bool readable(const FolderWatch& watch) {
    pollfd wait{.fd = watch.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) == 1;
}

/// Changed, and quiet after that (but for what others do in the folders above, which is read and not told).
bool told(FolderWatch& watch) {
    const bool changed = readable(watch) && watch.drain();
    return changed && !watch.drain();
}

} // namespace

TEST_CASE("a key file that appears, changes, gets a new name or goes is told, and so is one under another "
          "name first") {
    const TempFolder folder;
    FolderWatch watch(folder.path());
    CHECK_FALSE(watch.drain());
    const auto key = folder / "id.tpm", other = folder / "other.tpm";
    const auto write_whole = [&key] { write_file(key, bytes_of("x"), 0600, Existing::replace); };
    const std::vector<std::function<void()>> changes{[&] { put(key); },
                                                     [&] { put(key, "y"); },
                                                     [&] { fs::rename(key, other); },
                                                     [&] { fs::permissions(other, fs::perms::none); },
                                                     [&] { fs::remove(other); },
                                                     write_whole,
                                                     write_whole};
    for (const auto& change : changes) {
        INFO("change " << &change - changes.data());
        change();
        CHECK(told(watch));
    }
}

TEST_CASE("a certificate is told, and other files are not") {
    const TempFolder folder;
    FolderWatch watch(folder.path());
    put(folder / "id-cert.pub");
    CHECK(told(watch));
    for (const char* name : {"id.pub", "known_hosts", "id.tpm.bak", "id-cert.pub~", "tpm", "config"}) {
        INFO(name);
        put(folder / name);
        CHECK(readable(watch));
        CHECK_FALSE(watch.drain());
    }
}

TEST_CASE("names are told apart by their ends") {
    for (const char* name : {"id_ecdsa.tpm", ".tpm", "id_ecdsa-cert.pub"})
        CHECK(os::is_watched_name(name));
    for (const char* name : {"id_ecdsa.TPM", "id_ecdsa.pub", ""})
        CHECK_FALSE(os::is_watched_name(name));
}

TEST_CASE("a link to a key is told when it is made and when it is replaced") {
    const TempFolder folder, elsewhere;
    put(elsewhere / "key");
    FolderWatch watch(folder.path());
    fs::create_symlink(elsewhere / "key", folder / "id.tpm");
    CHECK(told(watch));
    fs::create_symlink(elsewhere / "key2", folder / "new");
    fs::rename(folder / "new", folder / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("a folder that is not there yet is told when it appears, and so are its files") {
    const TempFolder folder;
    FolderWatch watch(folder / "a" / "b" / "keys");
    CHECK_FALSE(watch.drain());
    fs::create_directory(folder / "a");
    CHECK(told(watch));
    put(folder / "a" / "id.tpm"); // above the folder
    CHECK_FALSE(watch.drain());
    fs::create_directories(folder / "a" / "b" / "keys");
    CHECK(told(watch));
    put(folder / "a" / "b" / "keys" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("files that appear together with their folder need no event of their own") {
    const TempFolder folder;
    FolderWatch watch(folder / "a" / "keys");
    fs::create_directories(folder / "a" / "keys");
    put(folder / "a" / "keys" / "id.tpm");
    CHECK(told(watch)); // the caller reads the folder now
    put(folder / "a" / "keys" / "second.tpm");
    CHECK(told(watch));
}

TEST_CASE("a folder may be deleted and made anew, more than once") {
    const TempFolder folder;
    fs::create_directory(folder / "keys");
    FolderWatch watch(folder / "keys");
    for (int round = 0; round < 3; ++round) {
        put(folder / "keys" / "id.tpm");
        CHECK(told(watch));
        fs::remove_all(folder / "keys");
        CHECK(told(watch));
        fs::create_directory(folder / "keys");
        CHECK(told(watch));
    }
    fs::remove_all(folder / "keys"); // and both before anybody looks
    fs::create_directory(folder / "keys");
    CHECK(told(watch));
    put(folder / "keys" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("a folder that is moved away is left, and the one that takes its name is watched") {
    const TempFolder folder;
    fs::create_directories(folder / "home" / "keys");
    FolderWatch watch(folder / "home" / "keys");
    fs::rename(folder / "home" / "keys", folder / "home" / "old");
    CHECK(told(watch));
    put(folder / "home" / "old" / "id.tpm");
    CHECK_FALSE(watch.drain());
    fs::create_directory(folder / "home" / "keys");
    CHECK(told(watch));
    fs::rename(folder / "home", folder / "away"); // a folder above it
    CHECK(told(watch));
    fs::create_directories(folder / "home" / "keys");
    CHECK(told(watch));
    put(folder / "home" / "keys" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("a folder that somebody still uses is told when it is deleted") {
    const TempFolder folder;
    fs::create_directory(folder / "keys");
    FolderWatch watch(folder / "keys");
    const UniqueFd user(::open((folder / "keys").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(user);
    fs::remove_all(folder / "keys");
    CHECK(told(watch));
    fs::create_directory(folder / "keys");
    put(folder / "keys" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("a link on the way that leads elsewhere now is told") {
    const TempFolder folder;
    for (const char* name : {"one", "two"})
        fs::create_directory(folder / name);
    fs::create_directory_symlink("one", folder / "keys");
    FolderWatch watch(folder / "keys");
    put(folder / "one" / "id.tpm");
    CHECK(told(watch));
    fs::create_directory_symlink("two", folder / "new");
    fs::rename(folder / "new", folder / "keys");
    CHECK(told(watch));
    put(folder / "two" / "id.tpm");
    CHECK(told(watch));
    put(folder / "one" / "id.tpm");
    CHECK_FALSE(watch.drain());
}

TEST_CASE("a file where the folder should be is no folder, and no fault") {
    const TempFolder folder;
    put(folder / "keys");
    FolderWatch watch(folder / "keys");
    fs::remove(folder / "keys");
    CHECK(told(watch));
    fs::create_directory(folder / "keys");
    CHECK(told(watch));
    put(folder / "keys" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("a folder is watched under a path with a slash at its end or dots; a change of its mode is told") {
    const TempFolder folder;
    fs::create_directory(folder / "keys");
    FolderWatch slash(folder.path().string() + "/keys/"), dots(folder.path().string() + "/./keys/../keys");
    put(folder / "keys" / "id.tpm");
    CHECK((told(slash) && told(dots)));
    fs::permissions(folder / "keys", fs::perms::owner_all);
    CHECK((told(slash) && told(dots)));
}

TEST_CASE(
    "key files in subfolders and theirs are told, in a third level, hidden and linked folders they are not") {
    const TempFolder folder, elsewhere;
    for (const char* name : {"one/two/three", ".git", "one/.git"})
        fs::create_directories(folder / name);
    fs::create_directory_symlink(elsewhere.path(), folder / "link");
    FolderWatch watch(folder.path());
    for (const char* name : {"one/id.tpm", "one/two/id.tpm", "one/two/id-cert.pub"}) {
        INFO(name);
        put(folder / name);
        CHECK(told(watch));
    }
    for (const char* name :
         {"one/two/three/id.tpm", ".git/id.tpm", "one/.git/id.tpm", "link/id.tpm", "one/id.pub"}) {
        INFO(name);
        put(folder / name);
        CHECK_FALSE(watch.drain());
    }
    for (const char* name : {".new", "one/.new", "one/two/new"}) { // not read
        INFO(name);
        fs::create_directory(folder / name);
        CHECK_FALSE(watch.drain());
    }
}

TEST_CASE("a subfolder that comes, is renamed, goes or is moved in with its files is told, and watched on") {
    const TempFolder folder, elsewhere;
    FolderWatch watch(folder.path());
    fs::create_directories(folder / "one" / "two");
    CHECK(told(watch));
    put(folder / "one" / "two" / "id.tpm");
    CHECK(told(watch));
    fs::rename(folder / "one", folder / "other");
    CHECK(told(watch));
    put(folder / "other" / "two" / "id.tpm", "changed");
    CHECK(told(watch));
    fs::rename(folder / "other", elsewhere / "other");
    CHECK(told(watch));
    put(elsewhere / "other" / "two" / "id.tpm"); // watched no more
    CHECK_FALSE(watch.drain());
    fs::rename(elsewhere / "other", folder / "back");
    CHECK(told(watch));
    put(folder / "back" / "two" / "id.tpm", "changed again");
    CHECK(told(watch));
    fs::remove_all(folder / "back" / "two");
    CHECK(told(watch));
    fs::remove_all(folder / "back");
    CHECK(told(watch));
}

TEST_CASE("a subfolder that is hidden by a new name is left, and one that is shown again is watched") {
    const TempFolder folder;
    fs::create_directories(folder / "one");
    FolderWatch watch(folder.path());
    fs::rename(folder / "one", folder / ".one");
    CHECK(told(watch));
    put(folder / ".one" / "id.tpm");
    CHECK_FALSE(watch.drain());
    fs::rename(folder / ".one", folder / "one");
    CHECK(told(watch));
    put(folder / "one" / "id.tpm", "changed");
    CHECK(told(watch));
}

TEST_CASE("the mode of a subfolder is told, and so is a folder in the place of a link") {
    const TempFolder folder, elsewhere;
    fs::create_directories(folder / "one");
    fs::create_directory_symlink(elsewhere.path(), folder / "link");
    FolderWatch watch(folder.path());
    for (const auto mode : {fs::perms::none, fs::perms::owner_all}) {
        fs::permissions(folder / "one", mode);
        CHECK(told(watch));
    }
    put(folder / "one" / "id.tpm");
    CHECK(told(watch));
    fs::remove(folder / "link");
    fs::create_directory(folder / "link");
    CHECK(told(watch));
    put(folder / "link" / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("events that were too many to be kept are told as a change") {
    const TempFolder folder;
    FolderWatch watch(folder.path());
    std::size_t most = 0;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> most;
    REQUIRE(most > 0);
    const std::string names[] = {(folder / "a").string(), (folder / "b").string()};
    put(names[0]);
    for (std::size_t i = 0; i < most; ++i) // two events each
        REQUIRE(::rename(names[i % 2].c_str(), names[(i + 1) % 2].c_str()) == 0);
    CHECK(told(watch));
    put(folder / "id.tpm");
    CHECK(told(watch));
}

TEST_CASE("without descriptors for it, a watch is an error") {
    const TempFolder folder;
    CHECK(in_process([&] {
              rlimit limit{};
              ::getrlimit(RLIMIT_NOFILE, &limit);
              const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
              ::setrlimit(RLIMIT_NOFILE, &none);
              try {
                  const FolderWatch watch(folder.path());
                  return 1;
              } catch (const Error& error) {
                  ::setrlimit(RLIMIT_NOFILE, &limit); // the sanitizer needs one to look at the error
                  return error.code() == Errc::io ? 0 : 2;
              }
          }) == 0);
}
