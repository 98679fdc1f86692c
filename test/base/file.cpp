#include "base/file.hpp"

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temp_folder.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

using namespace sshtpm;
using support::refusal;
using support::TempFolder;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void put(const fs::path& path, std::string_view content) {
    std::ofstream(path, std::ios::binary) << content;
}

unsigned mode_of(const fs::path& path) {
    return static_cast<unsigned>(fs::status(path).permissions());
}

std::ptrdiff_t entries(const fs::path& folder) {
    return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

/// Sets the umask for as long as it lives.
class Umask {
  public:
    explicit Umask(mode_t mask) : before_(::umask(mask)) {}
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;
    ~Umask() { ::umask(before_); }

  private:
    mode_t before_;
};

std::optional<Errc> reading(const fs::path& path, std::size_t ceiling = 100) {
    return refusal([&] { read_file(path, ceiling); });
}

std::optional<Errc> writing(const fs::path& path, Existing existing = Existing::keep) {
    return refusal([&] { write_file(path, bytes_of("new"), 0600, existing); });
}

} // namespace

TEST_CASE("a file is read whole, up to the ceiling") {
    const TempFolder folder;
    put(folder / "file", std::string_view("ab\0\n", 4));
    CHECK(text_of(read_file(folder / "file", 100)) == std::string_view("ab\0\n", 4));
    CHECK(read_file(folder / "file", 4).size() == 4);
    put(folder / "empty", "");
    CHECK(read_file(folder / "empty", 0).empty());
}

TEST_CASE("a file larger than the ceiling is refused") {
    const TempFolder folder;
    put(folder / "file", "abcd");
    CHECK(reading(folder / "file", 3) == Errc::malformed);
    CHECK(reading(folder / "file", 0) == Errc::malformed);
}

TEST_CASE("a file behind a symbolic link is read") {
    const TempFolder folder;
    put(folder / "file", "abc");
    fs::create_symlink("file", folder / "link");
    CHECK(text_of(read_file(folder / "link", 100)) == "abc");
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

TEST_CASE("a file that is not there is not found") {
    const TempFolder folder;
    put(folder / "file", "abc");
    fs::create_symlink("nowhere", folder / "dangling");
    CHECK(reading(folder / "missing") == Errc::not_found);
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

TEST_CASE("an error about a file names it") {
    const TempFolder folder;
    CHECK_THROWS_WITH(read_file(folder / "missing", 1),
                      (folder / "missing").string() + ": No such file or directory");
}

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
    CHECK(entries(folder.path()) == 2); // no temporary is left
}

TEST_CASE("an empty file can be written, and a large one") {
    const TempFolder folder;
    write_file(folder / "empty", {}, 0600, Existing::keep);
    CHECK(content_of(folder / "empty").empty());
    const Bytes large(3U << 20U, 'x');
    write_file(folder / "large", large, 0600, Existing::keep);
    CHECK(read_file(folder / "large", large.size()) == large);
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

TEST_CASE("a file is replaced as a whole: who has the old one open keeps it") {
    const TempFolder folder;
    put(folder / "file", "old");
    fs::permissions(folder / "file", fs::perms::all);
    std::ifstream old(folder / "file");
    CHECK_FALSE(writing(folder / "file", Existing::replace));
    CHECK(content_of(folder / "file") == "new");
    CHECK(mode_of(folder / "file") == 0600);
    CHECK(std::string(std::istreambuf_iterator<char>(old), {}) == "old");
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a symbolic link is replaced, and what it pointed to is left alone") {
    const TempFolder folder;
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

TEST_CASE("a folder is made once, with its mode whatever the umask") {
    const TempFolder folder;
    const Umask umask(0777);
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
