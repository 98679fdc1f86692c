#pragma once
// Patterns of OpenSSH, as its match.c takes them: in known_hosts files and in destination constraints.

#include <string_view>

namespace sshtpm::ssh {

/// True when the whole text is what the pattern says: '*' stands for any characters, none included, '?' for
/// one, everything else for itself. The time is bounded by the product of both lengths.
bool match_pattern(std::string_view text, std::string_view pattern);

/// True when a pattern of the list (separated by commas) matches and none that has a '!' in front does.
/// As in OpenSSH, a list that reaches a pattern of more than 1022 characters matches nothing.
/// @param fold_case compare ASCII letters without regard to case, as for names of hosts.
bool match_pattern_list(std::string_view text, std::string_view patterns, bool fold_case);

} // namespace sshtpm::ssh
