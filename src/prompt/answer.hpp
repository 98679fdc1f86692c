#pragma once
// An answer: the line that a person has typed, or the output of an askpass program.

#include "base/secret.hpp"

#include <algorithm>
#include <cstddef>

namespace sshtpm::prompt {

/// Longer answers are refused; the TPM's own limit on PINs is much lower.
inline constexpr std::size_t max_answer = 1024;

/// Cuts the answer at the first newline or carriage return, as OpenSSH does.
inline void keep_first_line(Secret& answer) {
    const auto text = text_of(answer.view());
    answer.truncate(std::min(text.find_first_of("\r\n"), text.size()));
}

} // namespace sshtpm::prompt
