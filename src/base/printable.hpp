// SPDX-License-Identifier: MIT
#pragma once
// Makes text from files, clients and the TPM safe to show to a person.

#include <cstddef>
#include <string>
#include <string_view>

namespace sshtpm {

/// Replaces characters that could move the cursor, or reorder or hide letters, by '?': control characters
/// (C0, DEL, C1), line and paragraph separators, bidirectional and invisible format characters, and bytes
/// that are not UTF-8. A result longer than `limit` bytes is cut there, and ends with "...".
std::string printable(std::string_view text, std::size_t limit = 200);

/// True if `printable` would replace nothing.
bool is_printable(std::string_view text);

/// True for the control characters of ASCII, DEL included.
inline bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// True for well-formed UTF-8 (the Unicode Standard, table 3-7); control characters are allowed.
bool is_utf8(std::string_view text);

} // namespace sshtpm
