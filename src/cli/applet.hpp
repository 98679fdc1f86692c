#pragma once
// What an applet is, and which one a word means.

#include <span>
#include <string>
#include <string_view>

namespace sshtpm::cli {

struct Applet {
    std::string_view name;    ///< "keygen"; the link is "ssh-tpm-keygen"
    std::string_view summary; ///< one line for the list
    /// @param arguments as main's: the first is the program's name. @returns the exit status.
    int (*run)(std::span<char*> arguments);
};

/// By exact name; null when there is none.
const Applet* find(std::span<const Applet> applets, std::string_view name);

/// The applet whose name takes the fewest single-letter edits (Levenshtein 1966) to become `word`.
const Applet& nearest(std::span<const Applet> applets, std::string_view word);

} // namespace sshtpm::cli
