#pragma once
// Words and patterns in OpenSSH's text files.

#include <string_view>

namespace sshtpm::ssh {

/// Removes spaces and tabs from the front of the text.
void skip_blanks(std::string_view& text);

/// Removes the first word from the text, and the blanks after it. @returns the word.
std::string_view take_word(std::string_view& text);

/// Compares a word of any case (ASCII) with one in lower case.
bool same_word(std::string_view word, std::string_view lower_case);

/// True when the pattern matches the whole text: '*' stands for any characters or none, '?' for one, every
/// other character for itself. Takes at most the product of both lengths in steps.
bool match_pattern(std::string_view text, std::string_view pattern);

/// True when a pattern of the list (separated by commas) matches the name of a host and no pattern with a '!'
/// in front does. The case of ASCII letters does not matter. As in OpenSSH, a list matches nothing once it
/// comes to a pattern of more than 1022 characters.
bool match_host(std::string_view host, std::string_view patterns);

} // namespace sshtpm::ssh
