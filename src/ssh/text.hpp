// SPDX-License-Identifier: MIT
#pragma once
// Words and patterns in OpenSSH's text files.

#include <string_view>

namespace sshtpm::ssh {

/// Removes spaces and tabs from the front of the text.
void skip_blanks(std::string_view& text);

/// Removes the first word from the text, and the blanks after it. @returns the word
std::string_view take_word(std::string_view& text);

/// Compares an ASCII word with a lower-case one, and ignores its case.
bool same_word(std::string_view word, std::string_view lower_case);

/// True if the pattern matches the whole text: '*' matches any number of characters, '?' one, and any other
/// character itself. The number of steps is at most the product of both lengths.
bool match_pattern(std::string_view text, std::string_view pattern);

/// True if a pattern of the list (separated by commas) matches the name of a host and no pattern with a '!'
/// in front matches. The case of ASCII letters does not matter. As in OpenSSH, a list matches nothing if one
/// of its patterns has more than 1022 characters.
bool match_host(std::string_view host, std::string_view patterns);

} // namespace sshtpm::ssh
