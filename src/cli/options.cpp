#include "cli/options.hpp"

#include "base/error.hpp"

#include <getopt.h>

namespace sshtpm::cli {

namespace {

constexpr int first_long_value = 0x100; ///< above every character: getopt's values of long options

/// The table in getopt's form. Every option is known by its number there, short names are looked up.
struct GetoptTable {
    std::string short_options;
    std::vector<std::string> names; ///< owns what `long_options` points to
    std::vector<option> long_options;
};

GetoptTable table_for(const std::vector<Option>& options, Operands operands) {
    GetoptTable table;
    table.short_options =
        operands == Operands::end_options ? "+:h" : ":h"; // ':' has it tell a missing argument
    table.names.reserve(options.size());
    table.long_options.push_back({.name = "help", .has_arg = no_argument, .flag = nullptr, .val = 'h'});
    for (std::size_t i = 0; i < options.size(); ++i) {
        const auto& each = options[i];
        const bool takes_argument = !each.argument.empty();
        if (each.short_name != '\0') {
            table.short_options += each.short_name;
            if (takes_argument)
                table.short_options += ':';
        }
        if (!each.long_name.empty()) {
            table.names.emplace_back(each.long_name);
            table.long_options.push_back({.name = table.names.back().c_str(),
                                          .has_arg = takes_argument ? required_argument : no_argument,
                                          .flag = nullptr,
                                          .val = first_long_value + static_cast<int>(i)});
        }
    }
    table.long_options.push_back({});
    return table;
}

const Option& option_of(int value, const std::vector<Option>& options) {
    if (value >= first_long_value)
        return options.at(static_cast<std::size_t>(value - first_long_value));
    for (const auto& each : options)
        if (each.short_name == static_cast<char>(value))
            return each;
    throw Error(Errc::usage, "unknown option"); // getopt returns only what the table has
}

/// What getopt has stumbled over: it names a short option by `optopt`, a long one by its place.
std::string culprit(std::span<char*> arguments) {
    if (optopt > 0 && optopt < first_long_value)
        return std::string("-") + static_cast<char>(optopt);
    return optind > 0 && static_cast<std::size_t>(optind) <= arguments.size()
               ? arguments[static_cast<std::size_t>(optind) - 1]
               : "option";
}

constexpr std::size_t help_column = 30, width = 80;

void add_wrapped(std::string& out, std::string_view text, std::size_t indent) {
    std::size_t column = indent;
    while (!text.empty()) {
        const auto end = std::min(text.find(' '), text.size());
        if (column > indent && column + 1 + end > width) {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, end);
        column += end;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    out += '\n';
}

std::string names_of(const Option& option) {
    std::string out = option.short_name != '\0' ? std::string("  -") + option.short_name : "    ";
    if (!option.long_name.empty())
        out.append(option.short_name != '\0' ? ", --" : "  --").append(option.long_name);
    if (!option.argument.empty())
        out.append(" ").append(option.argument);
    return out;
}

} // namespace

Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options, Operands operands) {
    const auto table = table_for(options, operands);
    Parsed parsed;
    ::optind = 0; // glibc: start anew
    for (;;) {
        const int value = ::getopt_long_only(static_cast<int>(arguments.size()), arguments.data(),
                                             table.short_options.c_str(), table.long_options.data(), nullptr);
        if (value == -1)
            break;
        if (value == '?')
            throw Error(Errc::usage, "unknown option " + culprit(arguments), "--help lists the options");
        if (value == ':')
            throw Error(Errc::usage, "option " + culprit(arguments) + " needs an argument",
                        "--help lists the options");
        if (value == 'h') {
            parsed.help = true;
            return parsed;
        }
        option_of(value, options).apply(::optarg);
    }
    for (const auto* operand : arguments.subspan(static_cast<std::size_t>(::optind)))
        parsed.operands.emplace_back(operand);
    return parsed;
}

std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options) {
    std::string out(usage);
    out += "\n\n";
    add_wrapped(out, about, 0);
    out += '\n';
    auto rows = options;
    rows.push_back(
        {.short_name = 'h', .long_name = "help", .argument = {}, .help = "show this help", .apply = {}});
    for (const auto& each : rows) {
        auto line = names_of(each);
        if (line.size() + 2 > help_column)
            line += "\n" + std::string(help_column, ' ');
        else
            line.resize(help_column, ' ');
        add_wrapped(line, each.help, help_column);
        out += line;
    }
    return out;
}

} // namespace sshtpm::cli
