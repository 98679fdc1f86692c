#include "cli/choice.hpp"

#include "support/test.hpp"

#include <utility>

using namespace sshtpm;
using namespace support;

namespace {

enum class Mode { usual, one, other };

} // namespace

TEST_CASE("without an option the usual mode is chosen, and the same mode may be chosen twice") {
    cli::Choice choice(Mode::usual);
    CHECK(choice.chosen() == Mode::usual);
    choice.choose(Mode::one);
    choice.choose(Mode::one);
    CHECK(choice.chosen() == Mode::one);
}

TEST_CASE("two different things are refused, the usual one among them") {
    for (const auto& [first, second] : {std::pair(Mode::one, Mode::other), std::pair(Mode::one, Mode::usual),
                                        std::pair(Mode::usual, Mode::one)}) {
        cli::Choice choice(Mode::usual);
        choice.choose(first);
        CHECK(refusal([&choice, mode = second] { choice.choose(mode); }) == Errc::usage);
        CHECK(choice.chosen() == first);
    }
}
