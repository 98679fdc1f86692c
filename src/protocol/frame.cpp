// SPDX-License-Identifier: MIT
#include "protocol/frame.hpp"

#include "base/error.hpp"
#include "base/secret.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cstdint>

namespace sshtpm::protocol {

namespace {

constexpr std::size_t header_size = 4;
constexpr std::size_t usual_size = 1024; // small: thousands of idle clients have a buffer each

} // namespace

FrameBuffer::~FrameBuffer() {
    wipe(buffer_);
}

std::span<std::uint8_t> FrameBuffer::writable() {
    if (begin_ == end_) {
        wipe(std::span(buffer_).first(end_));
        begin_ = end_ = 0;
        if (buffer_.size() != usual_size) // after a large message
            buffer_ = Bytes(usual_size);
    } else if (end_ == buffer_.size()) {
        // The frame may not fit into the space after the earlier messages, or not into the buffer at all.
        Bytes moved(begin_ > 0 ? end_ : std::min(end_ * 2, header_size + max_message));
        std::ranges::copy(std::span(buffer_).subspan(begin_), moved.begin());
        wipe(buffer_);
        buffer_.swap(moved);
        end_ -= begin_;
        begin_ = 0;
    }
    return std::span(buffer_).subspan(end_);
}

void FrameBuffer::wrote(std::size_t count) noexcept {
    end_ += count;
}

std::optional<ByteView> FrameBuffer::next() {
    const auto waiting = ByteView(buffer_).subspan(begin_, end_ - begin_);
    if (waiting.size() < header_size)
        return std::nullopt;
    const std::size_t length = wire::Reader(waiting).uint32();
    if (length == 0 || length > max_message)
        throw Error(Errc::malformed, "a frame of " + std::to_string(length) + " bytes");
    if (waiting.size() < header_size + length)
        return std::nullopt;
    begin_ += header_size + length;
    return waiting.subspan(header_size, length);
}

Bytes framed(ByteView message) {
    return wire::Writer().string(message).bytes();
}

} // namespace sshtpm::protocol
