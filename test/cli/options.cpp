// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace sshtpm;
using namespace support;

namespace {

constexpr cli::Modes making = 1U, listing = 2U, counting = 4U;

/// A command line as main gets it, and what the options made of it.
struct Line {
    std::vector<std::string> words;
    std::vector<std::string> seen;
    std::vector<std::string> operands;
    std::vector<cli::Parsed::Given> given;
    bool help = false, version = false;
    cli::Modes mode = 0;

    explicit Line(std::vector<std::string> all, cli::Operands where = cli::Operands::anywhere)
        : words(std::move(all)) {
        words.insert(words.begin(), "program");
        std::vector<char*> pointers;
        for (auto& word : words)
            pointers.push_back(word.data());
        const auto size = pointers.size();
        pointers.push_back(nullptr);
        auto parsed = cli::parse_options(std::span(pointers).first(size), table(), making, where);
        operands = std::move(parsed.operands);
        given = std::move(parsed.given);
        help = parsed.help;
        version = parsed.version;
        mode = parsed.mode;
    }

    std::vector<cli::Option> table() {
        const auto saw = [this](const std::string& what) {
            return [this, what](char* argument) { seen.push_back(argument ? what + "=" + argument : what); };
        };
        return {
            {"-f FILE", making, "a file", saw("f")},
            cli::mode_option("-l", listing, "list", saw("l")),
            cli::mode_option("-c, --count", counting, "count", saw("c")),
            {"-v", cli::every_mode, "verbose", saw("v")},
            {"--key-dir DIR", making, "a folder", saw("key-dir")},
            {"--no-load", making, "nothing", saw("no-load")},
        };
    }
};

using Words = std::vector<std::string>;

} // namespace

TEST_CASE("long options work with one dash and with two") {
    CHECK(Line({"--key-dir", "a"}).seen == Words{"key-dir=a"});
    CHECK(Line({"-key-dir", "a"}).seen == Words{"key-dir=a"});
    CHECK(Line({"--key-dir=a"}).seen == Words{"key-dir=a"});
    CHECK(Line({"-no-load"}).seen == Words{"no-load"});
}

TEST_CASE("short options may be bundled, with an argument at the end") {
    CHECK(Line({"-lv"}).seen == Words{"l", "v"});
    CHECK(Line({"-lvf", "x"}).seen == Words{"l", "v", "f=x"});
    CHECK(Line({"-fx"}).seen == Words{"f=x"});
    CHECK(Line({"-f", "-"}).seen == Words{"f=-"});
}

TEST_CASE("operands are what is left, and two dashes end the options") {
    CHECK(Line({"a", "-l", "b"}).operands == Words{"a", "b"});
    CHECK(Line({"-l", "--", "-v"}).operands == Words{"-v"});
    const Line command({"-l", "ls", "-v"}, cli::Operands::end_options); // whose options are its own
    CHECK(command.seen == Words{"l"});
    CHECK(command.operands == Words{"ls", "-v"});
}

TEST_CASE("an unknown option is named, and so is an abbreviation, which could mean something else later") {
    for (const auto& words : {Words{"-x"}, {"--nonsense"}, {"--key", "a"}, {"-k", "a"}, {"-n"}})
        CHECK_THROWS_WITH(Line(words), contains(words[0]));
    CHECK_THROWS_WITH(Line({"-lx"}), contains("-x"));
}

TEST_CASE("a word that is an option's argument is not looked at") {
    CHECK(Line({"-f", "--no-load"}).seen == Words{"f=--no-load"});
    CHECK(Line({"--key-dir", "-l"}).seen == Words{"key-dir=-l"});
    CHECK(Line({"--key-dir="}).seen == Words{"key-dir="});
}

TEST_CASE("a missing argument and one too many are errors that name the option") {
    CHECK_THROWS_WITH(Line({"-f"}), contains("-f needs an argument"));
    CHECK_THROWS_WITH(Line({"--key-dir"}), contains("--key-dir needs an argument"));
    CHECK_THROWS_AS(Line({"--no-load=yes"}), Error);
}

TEST_CASE("the version is asked for with -V or --version, and the rest is not parsed") {
    for (const auto& words : {Words{"-V"}, {"--version", "--nonsense"}, {"-vVx"}}) {
        const Line line(words);
        CHECK(line.version);
        CHECK_FALSE(line.help);
    }
    CHECK_FALSE(Line({"-f", "-V"}).version);
    CHECK_FALSE(Line({"--help", "--version"}).version);
}

TEST_CASE("an option of OpenSSH's that has no meaning here is refused with its reason, and not in the help") {
    const std::vector<cli::Option> table{{"-q", making, "quiet"},
                                         cli::refused_option("-a ROUNDS", "no rounds", "leave it out")};
    std::string word = "program", option = "-a16";
    std::array<char*, 2> words{word.data(), option.data()};
    const auto parse = [&] { cli::parse_options(words, table, making); };
    CHECK_THROWS_WITH(parse(), "-a: no rounds");
    CHECK(refusal(parse) == Errc::usage);
    CHECK(thrown(parse).hint() == "leave it out");
    const auto text = cli::help_text("usage: program", "about", table);
    CHECK(text.find("-a") == std::string::npos);
    CHECK_THAT(text, contains("-q"));
}

TEST_CASE("help is asked for with -h or --help") {
    CHECK(Line({"-h"}).help);
    CHECK(Line({"--help"}).help);
    CHECK_FALSE(Line({"-l"}).help);
}

namespace {

const std::vector<cli::Mode> modes{{making, "making a key", {}}, {listing, "-l", {}, true}};

cli::Parsed given(std::string_view name, cli::Modes fitting, cli::Modes mode = making) {
    return {.mode = mode, .given = {{.name = name, .modes = fitting}}};
}

} // namespace

TEST_CASE(
    "an option or operand that its mode does not take is refused, and the hint names the modes that do") {
    CHECK(cli::fitting_mode({.mode = making}, modes).name == "making a key");
    CHECK_NOTHROW(cli::fitting_mode(given("-N", making), modes));
    CHECK_NOTHROW(cli::fitting_mode(given("-q", cli::every_mode, listing), modes));
    const auto check = [] { cli::fitting_mode(given("-N", making, listing), modes); };
    CHECK_THROWS_WITH(check(), "option -N has no effect with -l");
    CHECK(refusal(check) == Errc::usage);
    CHECK(thrown(check).hint() == "it goes with making a key");
    for (const auto& mode : modes) // an option that names no mode
        CHECK_THROWS_AS(cli::fitting_mode(given("-N", cli::Option{}.modes, mode.bit), modes), Error);
    CHECK_NOTHROW(cli::fitting_mode({.mode = listing, .operands = {"x"}}, modes));
    CHECK_THROWS_WITH(cli::fitting_mode({.mode = making, .operands = {"x"}}, modes),
                      "unexpected argument \"x\" with making a key");
}

TEST_CASE("an option chooses the mode, as often as it is given, and two that choose others are refused") {
    CHECK(Line({"-v"}).mode == making);
    CHECK(Line({"-lv", "-l"}).mode == listing);
    CHECK(Line({"--count", "-c"}).mode == counting);
    CHECK_THROWS_WITH(Line({"-l", "--count"}), "conflicting options: -l and -c");
    CHECK_THROWS_AS(Line({"-cl"}), Error);
}

TEST_CASE("what was given is kept by its first name, once for each time") {
    std::vector<std::string_view> names;
    for (const auto& option : Line({"-lf", "x", "--key-dir=y", "-l"}).given)
        names.push_back(option.name);
    CHECK(names == std::vector<std::string_view>{"-l", "-f", "--key-dir", "-l"});
}

TEST_CASE("two options that exclude each other are refused, and one that needs another") {
    auto both = given("-k", making);
    both.given.push_back({.name = "-C", .modes = making});
    CHECK_THROWS_WITH(cli::require_apart(both, "-C", "-k"), "conflicting options: -C and -k");
    CHECK_NOTHROW(cli::require_apart(given("-k", making), "-C", "-k"));
    CHECK_THROWS_WITH(cli::require_with(given("-k", making), "-k", "-C"),
                      "option -k has no effect without -C");
    CHECK_NOTHROW(cli::require_with(both, "-k", "-C"));
    CHECK_NOTHROW(cli::require_with({}, "-k", "-C"));
}

TEST_CASE("the help text has every option and keeps to 80 columns") {
    Line line({});
    const auto text = cli::help_text(
        "usage: program", std::string("word ") + std::string(300, 'x') + " word word", line.table());
    CHECK_THAT(text, contains("-f FILE"));
    CHECK_THAT(text, contains("--key-dir DIR"));
    CHECK_THAT(text, contains("-h, --help"));
    CHECK_THAT(text, contains("-V, --version"));
    std::size_t start = 0;
    while (start < text.size()) {
        const auto end = text.find('\n', start);
        const auto line_text = text.substr(start, end - start);
        if (line_text.find("xxx") == std::string::npos) // one word that is longer has a line of its own
            CHECK(line_text.size() <= 80);
        start = end + 1;
    }
}
