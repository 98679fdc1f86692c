#pragma once
// Views of bytes, and the only place where characters and bytes are looked at as each other.
// The names of this room live in `sshtpm` itself: every other room speaks them.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sshtpm {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

ByteView bytes_of(std::string_view text) noexcept;
std::string_view text_of(ByteView bytes) noexcept;

/// The bytes that an object is made of; to wipe it, or to hand it to a C library that takes bytes.
template <class T>
    requires std::is_trivially_copyable_v<T>
std::span<std::uint8_t> memory_of(T& object) noexcept {
    return {reinterpret_cast<std::uint8_t*>(&object), sizeof object};
}

/// An owned copy of a view.
Bytes copy_of(ByteView bytes);

void append(Bytes& to, ByteView bytes);

/// Compares contents; not for secrets (it stops at the first difference).
bool equal(ByteView a, ByteView b) noexcept;

/// Lower-case hexadecimal, two digits a byte, no separators.
std::string hex(ByteView bytes);

/// The big-endian unsigned integer without its leading zero bytes; zero is the empty view.
ByteView without_leading_zeros(ByteView integer) noexcept;

/// The big-endian unsigned integer in exactly `width` bytes.
/// @throws Error(malformed) when it needs more.
Bytes fixed_width(ByteView integer, std::size_t width);

} // namespace sshtpm
