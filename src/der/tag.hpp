#pragma once
// The identifier octets (X.690 section 8.1.2) that reader and writer have in common.

#include <cstdint>

namespace sshtpm::der::tag {

inline constexpr std::uint8_t boolean = 0x01;
inline constexpr std::uint8_t integer = 0x02;
inline constexpr std::uint8_t octet_string = 0x04;
inline constexpr std::uint8_t object_identifier = 0x06;
inline constexpr std::uint8_t utf8_string = 0x0C;
inline constexpr std::uint8_t sequence = 0x30;   ///< constructed, as it always is
inline constexpr std::uint8_t explicit_0 = 0xA0; ///< context-specific, constructed, number 0

/// Numbers from 31 on take more than one octet; the low five bits are then all set.
inline constexpr std::uint8_t highest_number = 0x1F;

/// The context-specific constructed tag `number`, which is 30 at most.
constexpr std::uint8_t explicit_tag(unsigned number) noexcept {
    return static_cast<std::uint8_t>(explicit_0 | number);
}

} // namespace sshtpm::der::tag
