#pragma once
// Command-line options from a table, which is also the source of the help text. Long options work with one
// dash or two and by their whole name; short ones as in OpenSSH's tools, bundled too. getopt_long_only is no
// help here: it takes -s for an abbreviation of --swtpm.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sshtpm::cli {

/// A set of an applet's modes, a bit each.
using Modes = unsigned;
inline constexpr Modes every_mode = ~0U;

struct Option {
    std::string_view names; ///< and its argument, as the help shows them: "-q", "-I, --import FILE"
    Modes modes = 0;        ///< where it has an effect; given in another one, it is an error
    std::string_view help = {};
    /// Called in the order of the command line. The argument is main's own memory: an option that takes a
    /// secret overwrites it there, so that it stands in the process list no longer than needed. Null for an
    /// option without one.
    std::function<void(char* argument)> apply = {};
    bool chooses_mode = false; ///< `modes` is the one mode that it stands for
};

/// Stores an option's argument, or that the option was given.
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

enum class Operands {
    anywhere,    ///< options may come after them
    end_options, ///< the first one ends the options, as for a command to run
};

/// What is left when the options have been applied.
struct Parsed {
    struct Given {
        std::string_view name; ///< the first of the option's names: "-l", "--force"
        Modes modes = 0;
    };
    bool help = false; ///< -h or --help was given; options after it are not looked at
    Modes mode = 0;    ///< that an option chose, else the usual one
    std::vector<std::string> operands = {};
    std::vector<Given> given = {};
};

/// @param usual_mode the mode when no option chooses one.
/// @throws Error(usage) for an unknown option, a missing argument, one too many, and for two modes.
Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options, Modes usual_mode,
                     Operands operands = Operands::anywhere);

/// One of the things that an applet does.
struct Mode {
    Modes bit = 0;
    std::string_view name;    ///< the option that chooses it, else in words: "-l", "making a key"
    std::function<int()> run; ///< @returns the exit status
    bool takes_operands = false;
};

/// The mode that was chosen, out of all.
/// @throws Error(usage) for an option, or an operand, that has no effect in it.
const Mode& fitting_mode(const Parsed& parsed, const std::vector<Mode>& modes);

/// @throws Error(usage) when both are given: one of them would have no effect.
void require_apart(const Parsed& parsed, std::string_view one, std::string_view other);
/// @throws Error(usage) when `option` is given, and `other`, without which it has no effect, is not.
void require_with(const Parsed& parsed, std::string_view option, std::string_view other);

/// The help text: the usage lines, a paragraph, and the table, wrapped at 80 columns.
std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options);

} // namespace sshtpm::cli
