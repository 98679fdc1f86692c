#pragma once
// What swtpm speaks on its command socket: one connection for each command, so that programs take turns.
//
// The swtpm TCTI of tpm2-tss 3.2.1 is not used for it, because nothing can end its waiting: it reads without
// end, whatever timeout it is given, repeats interrupted reads, has no descriptors to poll, and even opening
// it waits for an answer on the control socket.

#include "base/unique_fd.hpp"
#include "tpm/transport.hpp"

#include <optional>
#include <sys/socket.h>
#include <vector>

namespace sshtpm::tpm {

class SwtpmSocket final : public Transport {
  public:
    /// True for "swtpm", "swtpm:path=SOCKET", "swtpm:host=HOST,port=NUMBER" (either may be left out).
    static bool understands(const std::string& conf);

    /// Null when nobody listens there.
    static std::unique_ptr<SwtpmSocket> open(const std::string& conf);

    TSS2_RC send(ByteView command, Deadline deadline) noexcept override;
    Received receive(std::span<std::uint8_t> room, Deadline deadline) noexcept override;

  private:
    struct Address {
        sockaddr_storage storage;
        socklen_t size;
    };
    static std::optional<std::vector<Address>> addresses_of(const std::string& conf);

    explicit SwtpmSocket(std::vector<Address> addresses) : addresses_(std::move(addresses)) {}
    TSS2_RC connect(Deadline deadline) noexcept;
    TSS2_RC wait(short events, Deadline deadline) const noexcept;
    Received receive_message(std::span<std::uint8_t> room, Deadline deadline) const noexcept;
    TSS2_RC fill(std::span<std::uint8_t> room, Deadline deadline) const noexcept;

    std::vector<Address> addresses_;
    UniqueFd socket_;
};

} // namespace sshtpm::tpm
