// SPDX-License-Identifier: MIT
#include "base/staged_file.hpp"

#include "support/stderr.hpp"
#include "support/test.hpp"
#include "support/variable.hpp"

#include <array>
#include <climits>
#include <sys/xattr.h>

using namespace sshtpm;
using namespace support;

namespace {

std::optional<Errc> writing(const fs::path& path, Existing existing = Existing::keep) {
    return refusal([&] { write_file(path, bytes_of("new"), 0600, existing); });
}

/// Another content for a file that is there.
std::optional<Errc> rewriting(const fs::path& path) {
    const auto stamp = stamp_of(path);
    return refusal([&] { rewrite_file(path, bytes_of("new"), stamp); });
}

} // namespace

TEST_CASE("a new file has its content and its mode, whatever the umask") {
    const TempFolder folder;
    for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{0777}}) {
        const Umask umask(mask);
        write_file(folder / "secret", bytes_of("s"), 0600, Existing::replace);
        write_file(folder / "public", bytes_of("p"), 0644, Existing::replace);
        CHECK(mode_of(folder / "secret") == 0600);
        CHECK(mode_of(folder / "public") == 0644);
    }
    CHECK(content_of(folder / "secret") == "s");
    write_file(folder / "empty", {}, 0600, Existing::keep);
    CHECK(content_of(folder / "empty").empty());
    const Bytes large(3U << 20U, 'x');
    write_file(folder / "large", large, 0600, Existing::keep);
    CHECK(read_file(folder / "large", large.size()) == large);
    CHECK(entries(folder.path()) == 4); // no temporary is left
}

TEST_CASE("a file may have the longest name that the file system takes") {
    const TempFolder folder;
    const auto file = folder / std::string(NAME_MAX, 'x');
    CHECK(writing(file) == std::nullopt);
    CHECK(writing(file) == Errc::exists);
    CHECK(writing(file, Existing::replace) == std::nullopt);
    CHECK(rewriting(file) == std::nullopt);
    CHECK(writing(folder / std::string(NAME_MAX + 1, 'x')) == Errc::io);
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("an existing file is kept when that is asked for") {
    const TempFolder folder;
    put(folder / "file", "old");
    CHECK(writing(folder / "file") == Errc::exists);
    CHECK(content_of(folder / "file") == "old");
    CHECK(entries(folder.path()) == 1);

    fs::create_symlink("nowhere", folder / "dangling");
    CHECK(writing(folder / "dangling") == Errc::exists);
    CHECK(fs::is_symlink(folder / "dangling"));
}

TEST_CASE("a file or link is replaced as a whole: who has the old one open keeps it") {
    const TempFolder folder;
    put(folder / "file", "old");
    fs::permissions(folder / "file", fs::perms::all);
    std::ifstream old(folder / "file");
    CHECK_FALSE(writing(folder / "file", Existing::replace));
    CHECK(content_of(folder / "file") == "new");
    CHECK(mode_of(folder / "file") == 0600);
    CHECK(std::string(std::istreambuf_iterator<char>(old), {}) == "old");
    CHECK(entries(folder.path()) == 1);

    put(folder / "target", "old");
    fs::create_symlink("target", folder / "link");
    CHECK_FALSE(writing(folder / "link", Existing::replace));
    CHECK_FALSE(fs::is_symlink(folder / "link"));
    CHECK(content_of(folder / "link") == "new");
    CHECK(content_of(folder / "target") == "old");
}

TEST_CASE("a file that cannot take its name leaves nothing behind") {
    const TempFolder folder;
    fs::create_directory(folder / "taken");
    CHECK(writing(folder / "taken", Existing::replace).has_value());
    CHECK(entries(folder.path()) == 1);
    CHECK(writing(folder / "missing" / "file") == Errc::not_found);
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a file can be written by a name without a folder") {
    const TempFolder folder;
    const auto before = fs::current_path();
    fs::current_path(folder.path());
    const auto refused = writing("file");
    fs::current_path(before);
    CHECK_FALSE(refused);
    CHECK(content_of(folder / "file") == "new");
}

TEST_CASE("another content goes where a symbolic link leads") {
    const TempFolder folder;
    fs::create_directories(folder / "far" / "away");
    put(folder / "far" / "away" / "file", "old");
    fs::create_directory_symlink("far", folder / "near");
    fs::create_symlink("near/away/file", folder / "link");
    fs::create_symlink("link", folder / "second");
    CHECK_FALSE(rewriting(folder / "second"));
    CHECK(content_of(folder / "far" / "away" / "file") == "new");
    CHECK_FALSE(fs::is_symlink(folder / "far" / "away" / "file"));
    CHECK(fs::read_symlink(folder / "second") == "link");
    CHECK(fs::read_symlink(folder / "link") == "near/away/file");
    CHECK(entries(folder / "far" / "away") == 1);
    CHECK(entries(folder.path()) == 4);
}

TEST_CASE("another content keeps the mode, whatever the umask") {
    const TempFolder folder;
    const Umask umask(0077);
    for (const auto mode : {fs::perms::owner_read, fs::perms(0640), fs::perms(0644), fs::perms(0666)}) {
        put(folder / "file", "old");
        fs::permissions(folder / "file", mode);
        CHECK_FALSE(rewriting(folder / "file"));
        CHECK(fs::status(folder / "file").permissions() == mode);
        fs::remove(folder / "file");
    }
}

TEST_CASE("extended attributes are kept, and an access list that the folder would add is not") {
    const TempFolder folder;
    put(folder / "file", "old");
    fs::permissions(folder / "file", fs::perms(0640));
    if (::setxattr((folder / "file").c_str(), "user.test", "kept", 4, 0) != 0) {
        WARN("skipped: the file system of " << folder.path() << " has no extended attributes");
        return;
    }
    // linux/posix_acl_xattr.h: version 2, then tag, permissions and id of each entry: u::rw u:12345:r g::r
    // m::r o::-
    const auto acl = unhex("02000000 0100 0600 ffffffff 0200 0400 39300000 0400 0400 ffffffff "
                           "1000 0400 ffffffff 2000 0000 ffffffff");
    REQUIRE(::setxattr(folder.path().c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) == 0);
    const auto attribute = [&](const char* name) {
        std::array<char, 100> value{};
        const auto size = ::getxattr((folder / "file").c_str(), name, value.data(), value.size());
        return size < 0 ? std::string("none") : std::string(value.data(), static_cast<std::size_t>(size));
    };
    CHECK_FALSE(rewriting(folder / "file"));
    CHECK(attribute("user.test") == "kept");
    CHECK(attribute("system.posix_acl_access") == "none");
    CHECK(mode_of(folder / "file") == 0640);
    REQUIRE(::setxattr((folder / "file").c_str(), "system.posix_acl_access", acl.data(), acl.size(), 0) == 0);
    ::removexattr(folder.path().c_str(), "system.posix_acl_default");
    CHECK_FALSE(rewriting(folder / "file"));
    CHECK(attribute("system.posix_acl_access") == text_of(acl));
}

TEST_CASE("what has changed since it was read is left alone") {
    const TempFolder folder;
    put(folder / "mine", "old");
    put(folder / "other", "precious");
    fs::create_symlink("mine", folder / "link");
    const auto stamp = stamp_of(folder / "link");
    SECTION("a link leads elsewhere") {
        fs::remove(folder / "link");
        fs::create_symlink("other", folder / "link");
    }
    SECTION("another file has the name") {
        fs::rename(folder / "other", folder / "mine");
    }
    SECTION("another content") {
        put(folder / "mine", "newer");
    }
    SECTION("a link took the place") {
        fs::rename(folder / "mine", folder / "aside");
        fs::create_symlink("other", folder / "mine");
    }
    const auto before = content_of(folder / "link");
    const auto count = entries(folder.path());
    CHECK(refusal([&] { rewrite_file(folder / "link", bytes_of("new"), stamp); }) == Errc::exists);
    CHECK(content_of(folder / "link") == before);
    CHECK(entries(folder.path()) == count);
}

TEST_CASE("no file, no content for it: missing, dangling, looping, of several names, no file at all") {
    const TempFolder folder;
    fs::create_symlink("missing", folder / "dangling");
    fs::create_symlink("loop", folder / "loop");
    put(folder / "file", "old");
    fs::create_hard_link(folder / "file", folder / "second");
    CHECK(rewriting(folder / "missing") == Errc::not_found);
    CHECK(rewriting(folder / "dangling") == Errc::not_found);
    CHECK(rewriting(folder / "loop") == Errc::io);
    CHECK(rewriting(folder / "file") == Errc::exists);
    CHECK(rewriting(folder.path()) == Errc::malformed);
    CHECK(content_of(folder / "second") == "old");
    CHECK(entries(folder.path()) == 4);
    fs::remove(folder / "second");
    CHECK_FALSE(rewriting(folder / "file"));
}

TEST_CASE("of two files both take their places or neither") {
    const Variable fault("SSH_TPM_TEST_FILES", GENERATE("", "no_exchange"));
    const TempFolder folder;
    const auto commit_both = [&](const fs::path& first, Existing existing, const fs::path& last) {
        StagedFile one(first, bytes_of("new"), 0600, existing);
        StagedFile two(last, bytes_of("new"), 0644, existing);
        commit(one, two);
    };
    fs::create_directory(folder / "taken");
    put(folder / "old", "old");
    const auto before = stamp_of(folder / "old");
    // A folder is replaced by no file.
    CHECK(refusal([&] { commit_both(folder / "a", Existing::replace, folder / "taken"); }));
    CHECK(refusal([&] { commit_both(folder / "a", Existing::keep, folder / "taken"); }) == Errc::exists);
    CHECK(refusal([&] { commit_both(folder / "old", Existing::replace, folder / "taken"); }));
    CHECK(refusal([&] { commit_both(folder / "taken", Existing::replace, folder / "old"); }));
    CHECK(refusal([&] { commit_both(folder / "a", Existing::replace, folder / "missing" / "b"); }) ==
          Errc::not_found);
    CHECK(entries(folder.path()) == 2);
    CHECK(content_of(folder / "old") == "old");
    CHECK(stamp_of(folder / "old") == before);
    {
        StagedFile one(folder / "old", bytes_of("new"), before);
        one.take_place();
        CHECK(content_of(folder / "old") == "new");
    }
    CHECK(stamp_of(folder / "old") == before);
    fs::create_symlink("old", folder / "link");
    CHECK(refusal([&] { commit_both(folder / "link", Existing::replace, folder / "taken"); }));
    CHECK(fs::read_symlink(folder / "link") == "old");
    fs::remove(folder / "link");
    CHECK(entries(folder.path()) == 2);

    commit_both(folder / "old", Existing::replace, folder / "b");
    CHECK(content_of(folder / "old") == "new");
    CHECK(content_of(folder / "b") == "new");
    commit_both(folder / "c", Existing::keep, folder / "d");
    CHECK(mode_of(folder / "c") == 0600);
    CHECK(mode_of(folder / "d") == 0644);
    CHECK(entries(folder.path()) == 5);
}

TEST_CASE("an old file is not replaced where it could not be put back") {
    const Variable fault("SSH_TPM_TEST_FILES", "no_links");
    const TempFolder folder;
    put(folder / "old", "old");
    {
        StagedFile file(folder / "old", bytes_of("new"), 0600, Existing::replace);
        CHECK(refusal([&] { file.take_place(); }) == Errc::permission);
    }
    CHECK(content_of(folder / "old") == "old");
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a removed file comes back unless its removal is accepted") {
    const TempFolder folder;
    put(folder / "file", "old");
    fs::create_symlink("file", folder / "link");
    for (const auto* name : {"file", "link"}) {
        const auto path = folder / name;
        {
            StagedFile file(path);
            CHECK(is_there(path));
            file.take_place();
            CHECK_FALSE(is_there(path));
        }
        CHECK(content_of(path) == "old");
    }
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(entries(folder.path()) == 2);
    for (const auto* name : {"file", "link"}) {
        StagedFile file(folder / name);
        file.take_place();
        file.accept();
    }
    CHECK(entries(folder.path()) == 0);
    StagedFile missing(folder / "missing");
    CHECK(refusal([&] { missing.take_place(); }) == Errc::not_found);
}

TEST_CASE("an old file that cannot be put back is kept, and its name is told") {
    const TempFolder folder;
    put(folder / "file", "old");
    const auto said = written_to_stderr([&] {
        StagedFile file(folder / "file", bytes_of("new"), 0600, Existing::replace);
        file.take_place();
        fs::remove(folder / "file");
        fs::create_directory(folder / "file");
    });
    CHECK(said.find("not taken back: " + (folder / "file").string()) != std::string::npos);
    fs::remove(folder / "file");
    REQUIRE(entries(folder.path()) == 1);
    const auto kept = fs::directory_iterator(folder.path())->path();
    CHECK(content_of(kept) == "old");
    CHECK(said.find(kept.filename().string()) != std::string::npos);
}
