#pragma once
// Command-line options from a table, which is also the source of the help text. Long options work with one
// dash or two and by their whole name; short ones as in OpenSSH's tools, bundled too. getopt_long_only is no
// help here: it takes -s for an abbreviation of --swtpm.

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::cli {

/// A set of an applet's modes, a bit each.
using Modes = unsigned;
inline constexpr Modes every_mode = ~0U;

struct Option {
    char short_name = '\0';          ///< '\0': none
    std::string_view long_name = {}; ///< empty: none
    std::string_view argument = {};  ///< its name in the help; empty: the option takes none
    Modes modes = 0;                 ///< where it has an effect; given in another one, it is an error
    std::string_view help;
    /// Called in the order of the command line. The argument is main's own memory: an option that takes a
    /// secret overwrites it there, so that it stands in the process list no longer than needed. Null for an
    /// option without one.
    std::function<void(char* argument)> apply;
};

enum class Operands {
    anywhere,    ///< options may come after them
    end_options, ///< the first one ends the options, as for a command to run
};

/// What is left when the options have been applied. `help` when -h or --help was among them (options after
/// it are not looked at).
struct Parsed {
    struct Given {
        std::string name; ///< "-l", "--import"
        Modes modes = 0;
    };
    bool help = false;
    std::vector<std::string> operands;
    std::vector<Given> given = {};
};

/// @throws Error(usage) for an unknown option, a missing argument, or one too many.
Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options,
                     Operands operands = Operands::anywhere);

/// One of the things that an applet does.
struct Mode {
    Modes bit = 0;
    std::string_view name; ///< the option that chooses it, else in words: "-l", "making a key"
    bool takes_operands = false;
};

/// @throws Error(usage) for an option, or an operand, that has no effect in the mode `chosen`.
void require_fit(const Parsed& parsed, Modes chosen, std::span<const Mode> modes);

/// A mode with its function.
template <class Function>
struct RunnableMode {
    Mode mode;
    Function* run;
};

/// The function of the mode `chosen`. @throws Error(usage) as require_fit does
template <class Function, std::size_t count>
Function* fitting(const Parsed& parsed, Modes chosen,
                  const std::array<RunnableMode<Function>, count>& table) {
    std::array<Mode, count> modes;
    std::ranges::transform(table, modes.begin(), &RunnableMode<Function>::mode);
    require_fit(parsed, chosen, modes);
    return std::ranges::find(table, chosen, [](const auto& each) { return each.mode.bit; })->run;
}

/// @throws Error(usage) when both are given: one of them would have no effect.
void require_apart(const Parsed& parsed, std::string_view one, std::string_view other);
/// @throws Error(usage) when `option` is given, and `other`, without which it has no effect, is not.
void require_with(const Parsed& parsed, std::string_view option, std::string_view other);

/// The help text: the usage lines, a paragraph, and the table, wrapped at 80 columns.
std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options);

} // namespace sshtpm::cli
