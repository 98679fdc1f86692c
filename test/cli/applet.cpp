#include "cli/applet.hpp"

#include "support/catch.hpp"

#include <array>

using namespace sshtpm::cli;

namespace {

int nothing(std::span<char*>) {
    return 0;
}

constexpr std::array table{Applet{"keygen", "", nothing}, Applet{"agent", "", nothing},
                           Applet{"add", "", nothing}, Applet{"hostkeys", "", nothing}};

} // namespace

TEST_CASE("an applet is found by its whole name only, and the nearest is the one with the fewest edits") {
    REQUIRE(find(table, "agent") != nullptr);
    CHECK(find(table, "agent")->name == "agent");
    for (const auto* name : {"agen", "Agent", ""})
        CHECK(find(table, name) == nullptr);
    CHECK(nearest(table, "keygne").name == "keygen");
    CHECK(nearest(table, "agnt").name == "agent");
    CHECK(nearest(table, "ad").name == "add");
    CHECK(nearest(table, "host-keys").name == "hostkeys");
}
