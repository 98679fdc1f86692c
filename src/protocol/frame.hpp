// SPDX-License-Identifier: MIT
#pragma once
// Frames of the byte stream: the length in four bytes, then the message (RFC 9987 section 3).

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>

namespace sshtpm::protocol {

/// The longest message, as in OpenSSH's agent.
inline constexpr std::size_t max_message = 256 * 1024;

/// Takes memory for the bytes received, not for the length that a header claims. Wipes messages, because they
/// may hold a private key or a password.
class FrameBuffer {
  public:
    FrameBuffer() = default;
    FrameBuffer(const FrameBuffer&) = delete;
    FrameBuffer& operator=(const FrameBuffer&) = delete;
    ~FrameBuffer();

    /// The memory for the next bytes of the stream; never empty. Invalidates the views that `next` returned.
    std::span<std::uint8_t> writable();
    /// @param count number of bytes written there
    void wrote(std::size_t count) noexcept;

    /// The next message, never empty; nothing while it is incomplete.
    /// @throws Error(malformed) for a length of 0 or above max_message. The stream cannot be used any more.
    std::optional<ByteView> next();

    /// True if a part of a frame has been received.
    bool begun() const noexcept { return begin_ != end_; }

  private:
    Bytes buffer_;
    std::size_t begin_ = 0; ///< offset of the first byte that `next` has not returned
    std::size_t end_ = 0;   ///< offset of the end of the received bytes
};

/// The message as a frame.
Bytes framed(ByteView message);

} // namespace sshtpm::protocol
