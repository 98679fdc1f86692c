#include "cli/options.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace sshtpm;

namespace {

/// A command line as main gets it, and what the options made of it.
struct Line {
    std::vector<std::string> words;
    std::vector<std::string> seen;
    std::vector<std::string> operands;
    bool help = false;

    explicit Line(std::vector<std::string> all, cli::Operands where = cli::Operands::anywhere)
        : words(std::move(all)) {
        words.insert(words.begin(), "program");
        std::vector<char*> pointers;
        for (auto& word : words)
            pointers.push_back(word.data());
        const auto size = pointers.size();
        pointers.push_back(nullptr);
        auto parsed = cli::parse_options(std::span(pointers).first(size), table(), where);
        operands = std::move(parsed.operands);
        help = parsed.help;
    }

    std::vector<cli::Option> table() {
        return {
            {.short_name = 'f',
             .argument = "FILE",
             .help = "a file",
             .apply = [this](char* f) { seen.push_back("f=" + std::string(f)); }},
            {.short_name = 'l', .help = "list", .apply = [this](char*) { seen.push_back("l"); }},
            {.short_name = 'v', .help = "verbose", .apply = [this](char*) { seen.push_back("v"); }},
            {.long_name = "key-dir",
             .argument = "DIR",
             .help = "a folder",
             .apply = [this](char* d) { seen.push_back("key-dir=" + std::string(d)); }},
            {.long_name = "no-load",
             .help = "nothing",
             .apply = [this](char*) { seen.push_back("no-load"); }},
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
}

TEST_CASE("where a command follows, its options are its own") {
    const Line line({"-l", "ls", "-v"}, cli::Operands::end_options);
    CHECK(line.seen == Words{"l"});
    CHECK(line.operands == Words{"ls", "-v"});
}

TEST_CASE("an unknown option is a usage error that names it") {
    CHECK_THROWS_WITH(Line({"-x"}), support::contains("-x"));
    CHECK_THROWS_WITH(Line({"--nonsense"}), support::contains("--nonsense"));
    CHECK_THROWS_WITH(Line({"-lx"}), support::contains("-x"));
}

TEST_CASE("an abbreviation is no option: it would mean something else with the next release") {
    CHECK_THROWS_WITH(Line({"--key", "a"}), support::contains("--key"));
    CHECK_THROWS_WITH(Line({"-k", "a"}), support::contains("-k"));
    CHECK_THROWS_WITH(Line({"-n"}), support::contains("-n"));
}

TEST_CASE("a word that is an option's argument is not looked at") {
    CHECK(Line({"-f", "--no-load"}).seen == Words{"f=--no-load"});
    CHECK(Line({"--key-dir", "-l"}).seen == Words{"key-dir=-l"});
    CHECK(Line({"--key-dir="}).seen == Words{"key-dir="});
}

TEST_CASE("a missing argument is a usage error that names the option") {
    CHECK_THROWS_WITH(Line({"-f"}), support::contains("-f needs an argument"));
    CHECK_THROWS_WITH(Line({"--key-dir"}), support::contains("--key-dir needs an argument"));
}

TEST_CASE("an argument for an option that takes none is refused") {
    CHECK_THROWS_AS(Line({"--no-load=yes"}), Error);
}

TEST_CASE("help is asked for with -h or --help") {
    CHECK(Line({"-h"}).help);
    CHECK(Line({"--help"}).help);
    CHECK_FALSE(Line({"-l"}).help);
}

TEST_CASE("the help text has every option and keeps to 80 columns") {
    Line line({});
    const auto text = cli::help_text(
        "usage: program", std::string("word ") + std::string(300, 'x') + " word word", line.table());
    CHECK_THAT(text, support::contains("-f FILE"));
    CHECK_THAT(text, support::contains("--key-dir DIR"));
    CHECK_THAT(text, support::contains("-h, --help"));
    std::size_t start = 0;
    while (start < text.size()) {
        const auto end = text.find('\n', start);
        const auto line_text = text.substr(start, end - start);
        if (line_text.find("xxx") == std::string::npos) // one word that is longer has a line of its own
            CHECK(line_text.size() <= 80);
        start = end + 1;
    }
}
