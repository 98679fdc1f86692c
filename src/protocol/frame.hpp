#pragma once
// Cuts the byte stream of a client into frames: four length bytes, then the message (RFC 9987 section 3).

#include "base/bytes.hpp"

#include <optional>

namespace sshtpm::protocol {

/// The longest message, as in OpenSSH's agent.
inline constexpr std::size_t max_message = 256 * 1024;

/// Memory follows the bytes that have come, not the length that a header claims. What was read is wiped: it
/// may have been a private key or a password.
class FrameBuffer {
  public:
    FrameBuffer() = default;
    FrameBuffer(const FrameBuffer&) = delete;
    FrameBuffer& operator=(const FrameBuffer&) = delete;
    ~FrameBuffer();

    /// Where the next bytes of the stream go; never empty. Ends the life of views given out by `next`.
    std::span<std::uint8_t> writable();
    /// Tells how many bytes went there.
    void wrote(std::size_t count) noexcept;

    /// The next whole message, its first byte the number; nothing while it is incomplete.
    /// @throws Error(malformed) for a length of 0 or above max_message: the stream is beyond repair.
    std::optional<ByteView> next();

    /// True while a part of a frame is waiting for the rest.
    bool begun() const noexcept { return begin_ != end_; }

  private:
    void move_to(Bytes memory);

    Bytes buffer_;
    std::size_t begin_ = 0; ///< of what `next` has not given out
    std::size_t end_ = 0;   ///< of what was written
};

/// A message with its length in front.
Bytes framed(ByteView message);

} // namespace sshtpm::protocol
