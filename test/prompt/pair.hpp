// SPDX-License-Identifier: MIT
#pragma once
// An agent's side of its questions, and the prompter's side, in one process.

#include "base/unique_fd.hpp"
#include "prompt/prompter.hpp"
#include "prompt/prompter_client.hpp"
#include "support/catch.hpp"

#include <array>
#include <sys/socket.h>
#include <utility>

namespace support {

/// The two ends of a socket pair.
inline std::pair<sshtpm::UniqueFd, sshtpm::UniqueFd> packet_sockets() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {sshtpm::UniqueFd(ends[0]), sshtpm::UniqueFd(ends[1])};
}

class PromptPair {
  public:
    explicit PromptPair(const boost::asio::any_io_executor& loop) : PromptPair(loop, packet_sockets()) {}

  private:
    PromptPair(const boost::asio::any_io_executor& loop,
               std::pair<sshtpm::UniqueFd, sshtpm::UniqueFd> sockets)
        : client(loop, sockets.first.value()), prompter(loop, std::move(sockets.second)) {}

  public:
    sshtpm::prompt::PrompterClient client;
    sshtpm::prompt::Prompter prompter;
};

} // namespace support
