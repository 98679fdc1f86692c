// SPDX-License-Identifier: MIT
#pragma once
// Command-line options from a table, which is also the source of the help text. Long options work with one
// dash or two, by their whole name; short ones as in OpenSSH's tools, bundled too. getopt_long_only does not
// fit: it takes -s for an abbreviation of --swtpm.

#include "base/error.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sshtpm::cli {

/// A set of an applet's modes, one bit each.
using Modes = unsigned;
inline constexpr Modes every_mode = ~0U;

struct Option {
    std::string_view names;     ///< with the argument, as the help shows them: "-q", "-I, --import FILE"
    Modes modes = 0;            ///< that accept the option; it is an error in others
    std::string_view help = {}; ///< empty: the help text leaves the option out
    /// Called in the order of the command line. `argument` points into the memory of argv, and is null for an
    /// option without an argument. An option that takes a secret overwrites it there, so that the process
    /// list no longer shows it.
    std::function<void(char* argument)> apply = {};
    bool chooses_mode = false; ///< the option selects the mode in `modes`
};

/// Stores an option's argument in `value`, or true in a bool.
template <class Value>
auto set(Value& value) {
    return [&value](char* argument) {
        if constexpr (std::is_same_v<Value, bool>)
            value = true;
        else
            value = argument;
    };
}

/// An option that chooses the mode.
inline Option mode_option(std::string_view names, Modes mode, std::string_view help,
                          std::function<void(char*)> apply = {}) {
    return {names, mode, help, std::move(apply), true};
}

/// An option or a value that the tool of OpenSSH may know, and this program does not.
struct NotOurs : Error {
    using Error::Error;
};

/// An option of OpenSSH's tool of this name that would have no meaning here, or another one. It is a usage
/// error that begins with the option's name, and the help text leaves it out.
/// Throws NotOurs.
Option refused_option(std::string_view names, std::string_view reason, std::string_view hint);

enum class Operands {
    anywhere,    ///< options may follow operands
    end_options, ///< the first operand ends the options, as for a command to run
};

/// The command line after its options were applied.
struct Parsed {
    struct Given {
        std::string_view name; ///< the first of the option's names: "-l", "--force"
        Modes modes = 0;
    };
    bool help = false;    ///< -h or --help was given; the rest is not parsed
    bool version = false; ///< -V or --version, likewise
    Modes mode = 0;       ///< chosen by an option, else the usual mode
    std::vector<std::string> operands = {};
    std::vector<Given> given = {};
};

/// @param usual_mode the mode if no option chooses one
/// @throws Error(usage) for an unknown option, a missing or unexpected argument, and two different modes
Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options, Modes usual_mode,
                     Operands operands = Operands::anywhere);

/// One function of an applet.
struct Mode {
    Modes bit = 0;
    std::string_view name;    ///< the option that chooses it, else in words: "-l", "making a key"
    std::function<int()> run; ///< @returns the exit status
    bool takes_operands = false;
};

/// Finds the chosen mode.
/// @throws Error(usage) for an option or an operand that has no effect in it
const Mode& fitting_mode(const Parsed& parsed, const std::vector<Mode>& modes);

/// @throws Error(usage) if both options are given: one would have no effect
void require_apart(const Parsed& parsed, std::string_view one, std::string_view other);
/// @throws Error(usage) if `option` is given without `other`: it would have no effect
void require_with(const Parsed& parsed, std::string_view option, std::string_view other);

/// The help text: the usage lines, a paragraph, and the table, wrapped at 80 columns.
std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options);

} // namespace sshtpm::cli
