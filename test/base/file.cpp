// SPDX-License-Identifier: MIT
#include "base/file.hpp"

#include "support/test.hpp"

#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

std::optional<Errc> reading(const fs::path& path, std::size_t ceiling = 100) {
    return refusal([&] { read_file(path, ceiling); });
}

} // namespace

TEST_CASE("a file is read whole, behind a link too, and refused above the ceiling") {
    const TempFolder folder;
    put(folder / "file", std::string_view("ab\0\n", 4));
    CHECK(text_of(read_file(folder / "file", 100)) == std::string_view("ab\0\n", 4));
    CHECK(read_file(folder / "file", 4).size() == 4);
    CHECK(reading(folder / "file", 3) == Errc::malformed);
    CHECK(reading(folder / "file", 0) == Errc::malformed);
    fs::create_symlink("file", folder / "link");
    CHECK(read_file(folder / "link", 4).size() == 4);
    put(folder / "empty", "");
    CHECK(read_file(folder / "empty", 0).empty());
}

TEST_CASE("what is no regular file is refused without waiting for it") {
    const TempFolder folder;
    CHECK(reading(folder.path()) == Errc::malformed);
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    CHECK(reading(folder / "fifo") == Errc::malformed); // nobody writes: a plain open would wait for ever
    CHECK(reading("/dev/zero") == Errc::malformed);
    fs::create_symlink("loop", folder / "loop");
    CHECK(reading(folder / "loop") == Errc::io);
}

TEST_CASE("a FIFO and standard input are read if a person named them, up to the ceiling") {
    const TempFolder folder;
    const auto fifo = folder / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const auto fed = [&](std::size_t size, const auto& read) {
        std::thread writer([&] {
            const UniqueFd fd(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC));
            (void)!::write(fd.value(), std::string(size, 'x').data(), size);
        });
        const auto refused = refusal(read);
        writer.join();
        return refused;
    };
    const auto reading_any = [&] { read_file(fifo, 100, FileKind::any); };
    CHECK(fed(100, reading_any) == std::nullopt);
    CHECK(fed(101, reading_any) == Errc::malformed);
    CHECK(fed(100, [&] { CHECK(read_secret_file(fifo, 100).size() == 100); }) == std::nullopt);
    CHECK(refusal([] { read_file("/dev/zero", 100, FileKind::any); }) == Errc::malformed);
    CHECK(refusal([&] { read_file(folder.path(), 100, FileKind::any); }) == Errc::malformed);

    put(folder / "input", "typed");
    const UniqueFd input(::open((folder / "input").c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd before(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    REQUIRE(::dup2(input.value(), STDIN_FILENO) == STDIN_FILENO);
    const auto content = read_file("-", 100, FileKind::any);
    CHECK(refusal([] { read_file("-", 100); }) == Errc::not_found);
    REQUIRE(::dup2(before.value(), STDIN_FILENO) == STDIN_FILENO);
    CHECK(text_of(content) == "typed");
}

TEST_CASE("a file that is not there is not found") {
    const TempFolder folder;
    put(folder / "file", "abc");
    fs::create_symlink("nowhere", folder / "dangling");
    CHECK(reading(folder / "missing") == Errc::not_found);
    CHECK_THROWS_WITH(read_file(folder / "missing", 1),
                      (folder / "missing").string() + ": No such file or directory");
    CHECK(reading(folder / "missing" / "file") == Errc::not_found);
    CHECK(reading(folder / "file" / "file") == Errc::not_found);
    CHECK(reading(folder / "dangling") == Errc::not_found);
}

TEST_CASE("a name is taken by whatever bears it") {
    const TempFolder folder;
    put(folder / "file", "abc");
    fs::create_symlink("nowhere", folder / "dangling");
    fs::create_symlink("loop", folder / "loop");
    for (const auto* name : {".", "file", "dangling", "loop"})
        CHECK(is_there(folder / name));
    for (const auto* name : {"missing", "missing/file", "file/file", "dangling/file"})
        CHECK_FALSE(is_there(folder / name));
    CHECK_FALSE(is_there(folder / std::string(300, 'x')));
    CHECK(refusal([&] { is_there(folder / "loop" / "file"); }) == Errc::io);
}

TEST_CASE("a folder is made once, with its mode whatever the umask") {
    const TempFolder folder;
    const Umask umask(0377); // with 0777 only root could open the folder
    CHECK(make_folder(folder / "inner", 0700));
    CHECK(mode_of(folder / "inner") == 0700);
    CHECK_FALSE(make_folder(folder / "inner", 0755));
    CHECK(mode_of(folder / "inner") == 0700);
}

TEST_CASE("a folder is not made where something else is, nor in a folder that is missing") {
    const TempFolder folder;
    put(folder / "file", "abc");
    CHECK(refusal([&] { make_folder(folder / "file", 0700); }) == Errc::exists);
    CHECK(refusal([&] { make_folder(folder / "missing" / "inner", 0700); }) == Errc::not_found);
}

TEST_CASE("a folder is locked by one at a time, and what is none cannot be locked") {
    const TempFolder folder;
    constexpr std::chrono::milliseconds none{0};
    auto first = lock_folder(folder.path(), none);
    CHECK(first);
    CHECK_FALSE(lock_folder(folder.path(), none));
    first = UniqueFd();
    CHECK(lock_folder(folder.path(), none));
    CHECK(refusal([&] { lock_folder(folder.path() / "missing", none); }) == Errc::not_found);
}
