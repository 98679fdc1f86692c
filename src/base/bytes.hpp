// SPDX-License-Identifier: MIT
#pragma once
// Bytes and views of them. Only this file casts between characters and bytes.
// The names of this module are in `sshtpm` itself, because every other module uses them.

#include <cstdint>
#include <optional>
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

/// The memory of an object as bytes, to wipe it.
template <class T>
    requires std::is_trivially_copyable_v<T>
std::span<std::uint8_t> memory_of(T& object) noexcept {
    return {reinterpret_cast<std::uint8_t*>(&object), sizeof object};
}

Bytes copy_of(ByteView bytes);

void append(Bytes& to, ByteView bytes);

/// Compares contents. Not for secrets: the time it takes tells where they differ.
bool equal(ByteView a, ByteView b) noexcept;

/// Lower-case hexadecimal without separators.
std::string hex(ByteView bytes);
/// @returns nothing unless `text` is what `hex` writes
std::optional<Bytes> from_hex(std::string_view text);

/// A big-endian unsigned integer without its leading zero bytes; zero gives an empty view.
ByteView without_leading_zeros(ByteView integer) noexcept;

/// A big-endian unsigned integer in exactly `width` bytes.
/// @throws Error(malformed) if it does not fit.
Bytes fixed_width(ByteView integer, std::size_t width);

} // namespace sshtpm
