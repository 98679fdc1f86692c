#pragma once
// Command-line options from a table, which is also the source of the help text. Long options work with one
// dash or two and by their whole name; short ones as in OpenSSH's tools, bundled too. getopt_long_only is no
// help here: it takes -s for an abbreviation of --swtpm.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::cli {

struct Option {
    char short_name = '\0';          ///< '\0': none
    std::string_view long_name = {}; ///< empty: none
    std::string_view argument = {};  ///< its name in the help; empty: the option takes none
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
    bool help = false;
    std::vector<std::string> operands;
};

/// @throws Error(usage) for an unknown option, a missing argument, or one too many.
Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options,
                     Operands operands = Operands::anywhere);

/// The help text: the usage lines, a paragraph, and the table, wrapped at 80 columns.
std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options);

} // namespace sshtpm::cli
