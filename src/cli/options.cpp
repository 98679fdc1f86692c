// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace sshtpm::cli {

namespace {

/// The parts of Option::names.
struct Names {
    char letter = '\0';        ///< '\0': none
    std::string_view word;     ///< without its dashes; empty: none
    std::string_view argument; ///< empty: none
};

Names split(std::string_view names) {
    Names out;
    while (!names.empty()) {
        const auto end = std::min(names.find(' '), names.size());
        const auto part = names.substr(0, end);
        names.remove_prefix(std::min(end + 1, names.size()));
        if (part.starts_with("--"))
            out.word = part.substr(2);
        else if (part.starts_with('-'))
            out.letter = part[1];
        else
            out.argument = part;
    }
    return out;
}

std::string_view first_name(const Option& option) {
    return option.names.substr(0, option.names.find_first_of(", "));
}

constexpr std::string_view version_names = "-V, --version";

/// Adds the options that every applet has. They are the last ones, so that an applet's own -h takes
/// precedence.
std::vector<Option> with_common(std::vector<Option> options) {
    const auto has_own = [&](char letter) {
        return std::ranges::any_of(
            options, [&](const Option& option) { return split(option.names).letter == letter; });
    };
    const std::array common{
        Option{has_own('h') ? "--help" : "-h, --help", every_mode, "show this help"},
        Option{has_own('V') ? "--version" : version_names, every_mode, "print the version"}};
    options.insert(options.end(), common.begin(), common.end());
    return options;
}

bool asks_for_help(const Option& option) {
    return option.names.ends_with("--help");
}

NotOurs conflict(std::string_view one, std::string_view other) {
    return {Errc::usage, "conflicting options: " + std::string(one) + " and " + std::string(other),
            "give one of them; --help tells them apart"};
}

/// Applies the options of the command line, in order, until one asks for help.
class Parser {
  public:
    Parser(std::span<char*> words, const std::vector<Option>& options, Modes usual_mode)
        : rest_(words), options_(with_common(options)) {
        parsed_.mode = usual_mode;
    }

    Parsed run(Operands operands) {
        bool options_over = false;
        while (!rest_.empty() && !is_over()) {
            auto* word = next();
            const std::string_view text = word;
            if (options_over || text.size() < 2 || text[0] != '-') {
                parsed_.operands.emplace_back(text);
                options_over = options_over || operands == Operands::end_options;
            } else if (text == "--") {
                options_over = true;
            } else if (!apply_long(word)) {
                apply_bundle(word);
            }
        }
        return std::move(parsed_);
    }

  private:
    bool is_over() const { return parsed_.help || parsed_.version; }

    char* next() {
        auto* word = rest_.front();
        rest_ = rest_.subspan(1);
        return word;
    }

    const Option* find(auto&& matches) const {
        const auto found = std::ranges::find_if(
            options_, [&](const Option& option) { return matches(split(option.names)); });
        return found == options_.end() ? nullptr : &*found;
    }

    [[noreturn]] static void unknown(std::string_view name) {
        throw NotOurs(Errc::usage, "unknown option " + std::string(name), "--help lists the options");
    }

    char* argument_for(std::string_view name) {
        if (rest_.empty())
            throw Error(Errc::usage, "option " + std::string(name) + " needs an argument",
                        "--help lists the options");
        return next();
    }

    /// Applies "--name" or "--name=argument", with one dash too if the name is long. Refuses abbreviations:
    /// one that means a single option today may be ambiguous tomorrow.
    /// @returns false for another kind of word
    bool apply_long(char* word) {
        const std::string_view whole = word;
        const std::size_t dashes = whole.starts_with("--") ? 2 : 1;
        const auto end = std::min(whole.find('='), whole.size());
        const auto name = whole.substr(dashes, end - dashes);
        const auto* option = find([&](const Names& names) { return !name.empty() && names.word == name; });
        if (option == nullptr && dashes == 1)
            return false;
        if (option == nullptr)
            unknown(whole.substr(0, end));
        const bool takes_argument = !split(option->names).argument.empty(), attached = end != whole.size();
        if (attached && !takes_argument)
            throw Error(Errc::usage, "option " + std::string(whole.substr(0, end)) + " takes no argument");
        apply(*option, !takes_argument ? nullptr : attached ? word + end + 1 : argument_for(whole));
        return true;
    }

    /// Applies short options in one word: "-lv", "-lvf FILE", "-lvfFILE".
    void apply_bundle(char* word) {
        for (char* letter = word + 1; *letter != '\0' && !is_over(); ++letter) {
            const auto name = std::string("-") + *letter;
            const auto* option = find([&](const Names& names) { return names.letter == *letter; });
            if (option == nullptr)
                unknown(name);
            if (!split(option->names).argument.empty())
                return apply(*option, letter[1] != '\0' ? letter + 1 : argument_for(name));
            apply(*option, nullptr);
        }
    }

    void apply(const Option& option, char* argument) {
        if (option.chooses_mode)
            choose(option);
        if (option.apply)
            option.apply(argument);
        parsed_.help = asks_for_help(option);
        parsed_.version = option.names.ends_with("--version");
        parsed_.given.push_back({.name = first_name(option), .modes = option.modes});
    }

    /// The same mode may be chosen twice.
    void choose(const Option& option) {
        if (chosen_by_ != nullptr && parsed_.mode != option.modes)
            throw conflict(first_name(*chosen_by_), first_name(option));
        parsed_.mode = option.modes;
        chosen_by_ = &option;
    }

    std::span<char*> rest_;
    std::vector<Option> options_;
    const Option* chosen_by_ = nullptr; ///< the option that chose the mode
    Parsed parsed_;
};

bool is_given(const Parsed& parsed, std::string_view name) {
    return std::ranges::find(parsed.given, name, &Parsed::Given::name) != parsed.given.end();
}

constexpr std::size_t help_column = 30, help_width = 80;

void add_wrapped(std::string& out, std::string_view text, std::size_t indent) {
    std::size_t column = indent;
    while (!text.empty()) {
        const auto end = std::min(text.find(' '), text.size());
        if (column > indent && column + 1 + end > help_width) {
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

} // namespace

Option refused_option(std::string_view names, std::string_view reason, std::string_view hint) {
    return {names, every_mode, {}, [=](char*) {
                throw NotOurs(Errc::usage,
                              std::string(names.substr(0, names.find(' '))).append(": ").append(reason),
                              std::string(hint));
            }};
}

Parsed parse_options(std::span<char*> arguments, const std::vector<Option>& options, Modes usual_mode,
                     Operands operands) {
    return Parser(arguments.subspan(1), options, usual_mode).run(operands);
}

const Mode& fitting_mode(const Parsed& parsed, const std::vector<Mode>& modes) {
    const auto mode = std::ranges::find(modes, parsed.mode, &Mode::bit);
    if (mode == modes.end()) // no assert(): it would put the path of this file into the program
        throw std::logic_error("the table of modes lacks one that an option sets");
    for (const auto& option : parsed.given) {
        if ((option.modes & parsed.mode) != 0)
            continue;
        std::string fitting;
        for (const auto& other : modes)
            if ((option.modes & other.bit) != 0)
                fitting.append(fitting.empty() ? "" : ", ").append(other.name);
        throw NotOurs(Errc::usage,
                      "option " + std::string(option.name) + " has no effect with " + std::string(mode->name),
                      "it goes with " + fitting);
    }
    if (!mode->takes_operands && !parsed.operands.empty())
        throw NotOurs(Errc::usage,
                      "unexpected argument \"" + parsed.operands[0] + "\" with " + std::string(mode->name),
                      "--help tells what takes arguments");
    return *mode;
}

void require_apart(const Parsed& parsed, std::string_view one, std::string_view other) {
    if (is_given(parsed, one) && is_given(parsed, other))
        throw conflict(one, other);
}

void require_with(const Parsed& parsed, std::string_view option, std::string_view other) {
    if (is_given(parsed, option) && !is_given(parsed, other))
        throw Error(Errc::usage,
                    "option " + std::string(option) + " has no effect without " + std::string(other),
                    "see --help");
}

std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options) {
    std::string out(usage);
    out += "\n\n";
    add_wrapped(out, about, 0);
    out += '\n';
    for (const auto& each : with_common(options)) {
        if (each.help.empty())
            continue;
        // Aligns the long names, with or without a short name in front.
        auto line = std::string(each.names.starts_with("--") ? 6 : 2, ' ').append(each.names);
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
