#pragma once
// The texts in a key file that a person reads: the key's comment and the names of policies.

#include <string_view>

namespace sshtpm::keyfile {

/// In bytes. A longer one would fill the terminal in a list of keys.
inline constexpr std::size_t longest_description = 1024;

/// @throws Error(malformed) for text that is longer or not UTF-8, that could move the cursor or hide or
/// reorder letters, or that a reader could take for the first line of a PEM block.
void check_description(std::string_view text);

} // namespace sshtpm::keyfile
