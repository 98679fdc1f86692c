// SPDX-License-Identifier: MIT
#pragma once
// An answer to a question for a secret: the line that a person has typed, or the output of an askpass
// program.

#include "base/secret.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <variant>

namespace sshtpm::prompt {

/// Longer answers are refused; the TPM's own limit on PINs is much lower.
inline constexpr std::size_t max_answer = 1024;

/// The reason why a question has no answer.
enum class Unanswered {
    cancelled, ///< by the person, or by the end of a terminal's input
    empty,     ///< the person gave an empty answer where one is needed
    nobody,    ///< nobody can be asked, or standard input has ended
    failed,    ///< the question could not be asked; the log says why
    late,      ///< nobody answered in time
};

/// Goes behind "no PIN was given: ".
std::string_view in_words(Unanswered reason);

/// An answer may be empty.
using Answer = std::variant<Unanswered, Secret>;

/// Cuts the answer at the first newline or carriage return, as OpenSSH does.
inline void keep_first_line(Secret& answer) {
    const auto text = text_of(answer.view());
    answer.truncate(std::min(text.find_first_of("\r\n"), text.size()));
}

} // namespace sshtpm::prompt
