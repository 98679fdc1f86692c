// SPDX-License-Identifier: MIT
#include "os/secret_line.hpp"

#include "base/error.hpp"
#include "support/temp_folder.hpp"
#include "support/test.hpp"

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace sshtpm;
using namespace support;

namespace {

constexpr std::size_t most = 8;
constexpr uid_t own = 1000, other = 1001;

std::string write(const TempFolder& folder, std::string_view content, mode_t mode = 0600) {
    const auto path = (folder.path() / "pin").string();
    std::filesystem::remove(path);
    std::ofstream(path) << content;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
}

std::optional<Errc> refusal_of(const std::string& path) {
    return refusal([&] { os::read_secret_line(path, most); });
}

std::string line_of(const std::string& path) {
    return std::string(text_of(os::read_secret_line(path, most).view()));
}

struct Entry {
    unsigned tag, rights;
    uid_t id = ~0U;
};

/// An extended attribute system.posix_acl_access.
Bytes acl(const std::vector<Entry>& entries, std::uint8_t version = 2) {
    Bytes out{version, 0, 0, 0};
    for (const auto& entry : entries)
        append(out, Bytes{std::uint8_t(entry.tag), 0, std::uint8_t(entry.rights), 0, std::uint8_t(entry.id),
                          std::uint8_t(entry.id >> 8U), std::uint8_t(entry.id >> 16U),
                          std::uint8_t(entry.id >> 24U)});
    return out;
}

constexpr unsigned user_obj = 1, user = 2, group_obj = 4, group = 8, mask = 16, others = 32;

/// As systemd writes a credential of root for a service of another user.
std::vector<Entry> credential_for(uid_t id) {
    return {{user_obj, 4}, {user, 4, id}, {group_obj, 0}, {mask, 4}, {others, 0}};
}

} // namespace

TEST_CASE("the first line of a file is the secret, without its end") {
    const TempFolder folder;
    for (const auto* content : {"a pin", "a pin\n", "a pin\r\n", "a pin\r", "a pin\nmore\n", "a pin\n\0\0"})
        CHECK(line_of(write(folder, content)) == "a pin");
    CHECK(line_of(write(folder, " \t ")) == " \t ");
    CHECK(line_of(write(folder, "12345678\r\nmore")) == "12345678");
    CHECK(line_of(write(folder, "a\rb")) == "a\rb");
}

TEST_CASE("a line that is empty, too long, or has a NUL byte is refused") {
    const TempFolder folder;
    for (const std::string& content :
         {std::string(), std::string("\n"), std::string("\r\n"), std::string("\na pin"),
          std::string("123456789"), std::string("123456789\r\n"), std::string(5000, 'x'),
          std::string("a\0b\n", 4), std::string("a\0", 2)})
        CHECK(refusal_of(write(folder, content)) == Errc::malformed);
}

TEST_CASE("a file that other users can read or write is refused") {
    const TempFolder folder;
    for (const mode_t mode : {0640U, 0604U, 0644U, 0660U, 0620U, 0602U, 0666U})
        CHECK(refusal_of(write(folder, "a pin", mode)) == Errc::permission);
    for (const mode_t mode : {0400U, 0600U, 0700U})
        CHECK(line_of(write(folder, "a pin", mode)) == "a pin");
}

TEST_CASE("a symbolic link is as private as its target; what is missing and a folder are refused") {
    const TempFolder folder;
    const auto path = write(folder, "a pin"), link = path + ".link";
    std::filesystem::create_symlink(path, link);
    CHECK(line_of(link) == "a pin");
    write(folder, "a pin", 0644);
    CHECK(refusal_of(link) == Errc::permission);
    CHECK(refusal_of(path + ".missing") == Errc::not_found);
    CHECK(refusal_of(folder.path().string()) == Errc::io);
    CHECK(refusal_of("/dev/null") == Errc::malformed);
}

TEST_CASE("a FIFO is waited for, and nothing behind the line is read") {
    const TempFolder folder;
    const auto path = (folder.path() / "fifo").string();
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::jthread writer([&path] { std::ofstream(path) << "a pin\n"; });
    CHECK(line_of(path) == "a pin");
    writer.join();
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    std::jthread reluctant([&path] { UniqueFd(::open(path.c_str(), O_WRONLY)); });
    CHECK(refusal_of(path) == Errc::permission);

    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const UniqueFd pipe(ends[0]), writing(ends[1]);
    REQUIRE(::write(writing.value(), "one\ntwo\n", 8) == 8);
    for (const auto* line : {"one", "two"})
        CHECK(text_of(os::read_secret_line(pipe, "a pipe", most).view()) == line);
}

TEST_CASE("a secret is the same when it comes out of its pipe") {
    const auto pipe = os::pipe_holding(Secret::copy_of(bytes_of("12345678")));
    CHECK(text_of(os::read_secret_line(pipe, "a pipe", most).view()) == "12345678");
}

TEST_CASE("an access control list may name this user and root, and nobody else") {
    CHECK_FALSE(os::lets_others_in(acl(credential_for(own)), own));
    CHECK_FALSE(os::lets_others_in(acl(credential_for(0)), own));
    CHECK(os::lets_others_in(acl(credential_for(other)), own));
    CHECK(os::lets_others_in(acl({{user_obj, 4}, {group_obj, 4}, {others, 0}}), own));
    CHECK(os::lets_others_in(acl({{user_obj, 4}, {group_obj, 4}, {mask, 4}, {others, 0}}), own));
    CHECK(
        os::lets_others_in(acl({{user_obj, 4}, {group_obj, 0}, {group, 4, 5}, {mask, 4}, {others, 0}}), own));
    CHECK(os::lets_others_in(acl({{user_obj, 4}, {group_obj, 0}, {mask, 0}, {others, 4}}), own));
    CHECK_FALSE(os::lets_others_in(acl({{user_obj, 6}, {group_obj, 4}, {mask, 0}, {others, 0}}), own));
    CHECK_FALSE(os::lets_others_in(acl({{user, 4, other}, {mask, 2}, {others, 0}}), own));
}

TEST_CASE("a list that does not parse counts as one that lets others in") {
    const auto whole = acl(credential_for(own));
    for (std::size_t length = 0; length < whole.size(); ++length)
        if (length % 8 != 4) // else it is a shorter list
            CHECK(os::lets_others_in(ByteView(whole).first(length), own));
    CHECK(os::lets_others_in(acl(credential_for(own), 1), own));
    CHECK(os::lets_others_in(acl({{64, 4}}), own));
}

TEST_CASE("the access control list of a file decides, where its mode has rights for a group") {
    const TempFolder folder;
    const auto path = write(folder, "a pin");
    const auto set = [&path](const std::vector<Entry>& entries) {
        const auto value = acl(entries);
        return ::setxattr(path.c_str(), "system.posix_acl_access", value.data(), value.size(), 0) == 0;
    };
    if (!set(credential_for(::geteuid()))) {
        WARN("this file system has no access control lists");
        return;
    }
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0440);
    CHECK(line_of(path) == "a pin");
    REQUIRE(set(credential_for(::geteuid() + 1)));
    CHECK(refusal_of(path) == Errc::permission);
}
