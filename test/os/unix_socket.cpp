// SPDX-License-Identifier: MIT
#include "os/unix_socket.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "support/catch.hpp"
#include "support/temp_folder.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

TEST_CASE("the peer of a UNIX socket is the process at its other end") {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
    const auto peer = os::peer_of(pair[0]);
    CHECK(peer.pid == ::getpid());
    CHECK(peer.uid == ::geteuid());
    ::close(pair[0]);
    ::close(pair[1]);
}

TEST_CASE("what is no socket has no peer") {
    CHECK_THROWS_AS(os::peer_of(-1), Error);
}

TEST_CASE("an agent serves its own user and root, and nobody else") {
    CHECK(os::may_use_agent({.pid = 1, .uid = ::geteuid()}));
    CHECK(os::may_use_agent({.pid = 1, .uid = 0}));
    CHECK_FALSE(os::may_use_agent({.pid = 1, .uid = ::geteuid() + 12345}));
}

TEST_CASE("a socket's path may fill its address, without a NUL") {
    const TempFolder folder;
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    auto path = (folder / "").string();
    path.resize(sizeof address.sun_path, 'a');
    std::ranges::copy(path, address.sun_path);
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(socket.value(), os::generic(address), sizeof address) == 0);
    CHECK(os::bound_name(socket.value()) == path);
}

TEST_CASE("an abstract socket is named with an @, and a socket without a name is not named") {
    const UniqueFd unnamed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        abstract(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(os::bound_name(unnamed.value()).empty());
    const auto name = std::string("ssh-tpm-test") + '\0' + std::to_string(::getpid());
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::ranges::copy(name, address.sun_path + 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    REQUIRE(::bind(abstract.value(), os::generic(address), size) == 0);
    CHECK(os::bound_name(abstract.value()) == "@" + name);
}
