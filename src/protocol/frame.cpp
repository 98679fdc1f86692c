#include "protocol/frame.hpp"

#include "base/error.hpp"
#include "base/secret.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>

namespace sshtpm::protocol {

namespace {

constexpr std::size_t header_size = 4;
constexpr std::size_t usual_size = 1024; // thousands of idle clients have one each

} // namespace

FrameBuffer::~FrameBuffer() {
    wipe(buffer_);
}

/// A private key or a password may have passed: nothing of a message stays where it was.
void FrameBuffer::move_to(Bytes memory) {
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), end_ - begin_, memory.begin());
    wipe(buffer_);
    buffer_.swap(memory);
    end_ -= begin_;
    begin_ = 0;
}

std::span<std::uint8_t> FrameBuffer::writable() {
    if (begin_ == end_) {
        wipe(std::span(buffer_).first(end_));
        begin_ = end_ = 0;
        if (buffer_.size() != usual_size) // a large message is over
            buffer_ = Bytes(usual_size);
    } else if (end_ == buffer_.size() && begin_ > 0) {
        move_to(Bytes(buffer_.size()));
    } else if (end_ == buffer_.size()) {
        move_to(Bytes(std::min(buffer_.size() * 2, header_size + max_message)));
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
