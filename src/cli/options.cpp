#include "cli/options.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace sshtpm::cli {

namespace {

const Option help_option{.short_name = 'h',
                         .long_name = "help",
                         .argument = {},
                         .modes = every_mode,
                         .help = "show this help",
                         .apply = {}};

/// The words of the command line, one after the other.
class Words {
  public:
    explicit Words(std::span<char*> words) : rest_(words) {}
    bool empty() const { return rest_.empty(); }
    char* next() {
        auto* word = rest_.front();
        rest_ = rest_.subspan(1);
        return word;
    }

  private:
    std::span<char*> rest_;
};

[[noreturn]] void unknown(std::string_view name) {
    throw Error(Errc::usage, "unknown option " + std::string(name), "--help lists the options");
}

/// An applet's own -h goes before the one for help.
const Option& short_option(char name, const std::vector<Option>& options) {
    const auto found = std::ranges::find(options, name, &Option::short_name);
    if (found != options.end() && name != '\0')
        return *found;
    if (name == 'h')
        return help_option;
    unknown(std::string("-") + name);
}

/// By its whole name: an abbreviation that means one option today may mean another tomorrow.
const Option* long_option(std::string_view name, const std::vector<Option>& options) {
    const auto found = std::ranges::find(options, name, &Option::long_name);
    if (found != options.end() && !name.empty())
        return &*found;
    return name == help_option.long_name ? &help_option : nullptr;
}

char* argument_for(std::string_view name, Words& words) {
    if (words.empty())
        throw Error(Errc::usage, "option " + std::string(name) + " needs an argument",
                    "--help lists the options");
    return words.next();
}

/// Applies options until one of them asks for help.
class Application {
  public:
    explicit Application(const std::vector<Option>& options) : options_(options) {}

    bool help() const { return help_; }
    std::vector<Parsed::Given> take_given() { return std::move(given_); }

    /// "--name", "--name=argument", and the same with one dash where the name is a long one.
    /// @returns false for a word that is none of this.
    bool apply_long(char* word, Words& words) {
        const std::string_view whole = word;
        const std::size_t dashes = whole.starts_with("--") ? 2 : 1;
        const auto end = std::min(whole.find('='), whole.size());
        const auto* option = long_option(whole.substr(dashes, end - dashes), options_);
        if (option == nullptr && dashes == 1)
            return false;
        if (option == nullptr)
            unknown(whole.substr(0, end));
        const bool attached = end != whole.size();
        if (attached && option->argument.empty())
            throw Error(Errc::usage, "option " + std::string(whole.substr(0, end)) + " takes no argument");
        apply(*option, option->argument.empty() ? nullptr
                       : attached               ? word + end + 1
                                                : argument_for(whole, words));
        return true;
    }

    /// "-lv", "-lvf FILE", "-lvfFILE".
    void apply_bundle(char* word, Words& words) {
        for (char* letter = word + 1; *letter != '\0' && !help_; ++letter) {
            const auto& option = short_option(*letter, options_);
            if (option.argument.empty()) {
                apply(option, nullptr);
                continue;
            }
            apply(option, letter[1] != '\0' ? letter + 1 : argument_for(std::string("-") + *letter, words));
            return;
        }
    }

  private:
    void apply(const Option& option, char* argument) {
        if (option.apply)
            option.apply(argument);
        else
            help_ = true;
        given_.push_back({.name = option.short_name != '\0' ? std::string("-") + option.short_name
                                                            : "--" + std::string(option.long_name),
                          .modes = option.modes});
    }

    const std::vector<Option>& options_;
    std::vector<Parsed::Given> given_;
    bool help_ = false;
};

bool is_given(const Parsed& parsed, std::string_view name) {
    return std::ranges::find(parsed.given, name, &Parsed::Given::name) != parsed.given.end();
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
    Parsed parsed;
    Words words(arguments.subspan(1));
    Application application(options);
    bool options_over = false;
    while (!words.empty()) {
        auto* word = words.next();
        const std::string_view text = word;
        if (options_over || text.size() < 2 || text[0] != '-') {
            parsed.operands.emplace_back(text);
            options_over = options_over || operands == Operands::end_options;
        } else if (text == "--") {
            options_over = true;
        } else if (!application.apply_long(word, words)) {
            application.apply_bundle(word, words);
        }
        if (application.help())
            return {.help = true, .operands = {}};
    }
    parsed.given = application.take_given();
    return parsed;
}

void require_fit(const Parsed& parsed, Modes chosen, std::span<const Mode> modes) {
    const auto mode = std::ranges::find(modes, chosen, &Mode::bit);
    assert(mode != modes.end());
    for (const auto& option : parsed.given) {
        if ((option.modes & chosen) != 0)
            continue;
        std::string fitting;
        for (const auto& other : modes)
            if ((option.modes & other.bit) != 0)
                fitting.append(fitting.empty() ? "" : ", ").append(other.name);
        throw Error(Errc::usage, "option " + option.name + " has no effect with " + std::string(mode->name),
                    "it goes with " + fitting);
    }
    if (!mode->takes_operands && !parsed.operands.empty())
        throw Error(Errc::usage,
                    "unexpected argument \"" + parsed.operands[0] + "\" with " + std::string(mode->name),
                    "--help tells what takes arguments");
}

void require_apart(const Parsed& parsed, std::string_view one, std::string_view other) {
    if (is_given(parsed, one) && is_given(parsed, other))
        throw Error(Errc::usage, "conflicting options: " + std::string(one) + " and " + std::string(other),
                    "give one of them; --help tells them apart");
}

void require_with(const Parsed& parsed, std::string_view option, std::string_view other) {
    if (is_given(parsed, option) && !is_given(parsed, other))
        throw Error(Errc::usage,
                    "option " + std::string(option) + " has no effect without " + std::string(other),
                    "--help tells what it is for");
}

std::string help_text(std::string_view usage, std::string_view about, const std::vector<Option>& options) {
    std::string out(usage);
    out += "\n\n";
    add_wrapped(out, about, 0);
    out += '\n';
    auto rows = options;
    rows.push_back(help_option);
    if (std::ranges::find(options, help_option.short_name, &Option::short_name) != options.end())
        rows.back().short_name = '\0'; // an applet's own -h
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
