#pragma once
// The header of commands and responses (TPM 2.0 Part 1, 18).

#include "base/bytes.hpp"

namespace sshtpm::tpm {

inline constexpr std::size_t header_size = 10;
/// What the kernel's driver takes and gives at most (TPM_BUFSIZE).
inline constexpr std::size_t largest_message = 4096;

struct Header {
    std::uint16_t tag = 0;
    std::uint32_t size = 0; ///< of the message, as it says itself
    std::uint32_t code = 0; ///< of the command, or of the response
};

/// @param message at least `header_size` bytes.
constexpr Header header_of(ByteView message) noexcept {
    const auto number = [&](std::size_t at, std::size_t bytes) {
        std::uint32_t value = 0;
        for (std::size_t i = at; i < at + bytes; ++i)
            value = value << 8U | message[i];
        return value;
    };
    return {.tag = static_cast<std::uint16_t>(number(0, 2)), .size = number(2, 4), .code = number(6, 4)};
}

} // namespace sshtpm::tpm
