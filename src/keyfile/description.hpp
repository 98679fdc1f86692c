#pragma once
// The texts in a key file that a person reads: the description, which is the key's comment, and the names of
// policies.

#include <string_view>

namespace sshtpm::keyfile {

/// In bytes. Longer ones would fill the terminal in a list of keys.
inline constexpr std::size_t longest_description = 1024;

/// @throws Error(malformed) for text that is longer, is not UTF-8, or could move the cursor, reorder or
/// hide letters, or be taken for the first line of a PEM block.
void check_description(std::string_view text);

} // namespace sshtpm::keyfile
