#pragma once
// Making text from files, clients and the TPM safe to show a person.

#include <cstddef>
#include <string>
#include <string_view>

namespace sshtpm {

/// The text with everything that could move a cursor, reorder or hide letters replaced by '?': control
/// characters (C0, DEL, C1), line and paragraph separators, bidirectional and invisible format characters,
/// and bytes that are not UTF-8. Cut with "..." when longer than `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 200);

/// True when `printable` would change nothing but the length.
bool is_printable(std::string_view text);

/// True for well-formed UTF-8 (the Unicode Standard, table 3-7), whatever it would show.
bool is_utf8(std::string_view text);

} // namespace sshtpm
