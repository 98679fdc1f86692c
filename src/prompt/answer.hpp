#pragma once
// What a person has typed, or an askpass program has printed before it exited with 0, means.

#include "base/secret.hpp"

#include <cstddef>
#include <string_view>

namespace sshtpm::prompt {

/// Secrets longer than this are not taken from anybody; the TPM's own limit is far below.
inline constexpr std::size_t max_answer = 1024;

/// The bytes up to the first newline or carriage return, as OpenSSH takes them.
void keep_first_line(Secret& answer);

/// A yes, when the program was asked to confirm something: nothing, or "yes" in any case, as OpenSSH's
/// ask_permission has it. At most one line: what goes on after a newline is no yes here, nor is a zero byte,
/// where OpenSSH looks at the first line of a C string.
bool is_permission(ByteView output);

/// What came of a question for a permission; only `yes` is one.
enum class Confirmation {
    unanswered, ///< taken back, or not answered in time
    no,
    yes,
    nobody, ///< there is nobody to ask
    failed, ///< the askpass program could not be run, or has not ended by itself
};

/// The beginning of a sentence that goes on with "the use of ...".
std::string_view in_words(Confirmation outcome);

} // namespace sshtpm::prompt
