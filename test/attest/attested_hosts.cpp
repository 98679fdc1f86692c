// SPDX-License-Identifier: MIT
#include "attest/attested_hosts.hpp"

#include "support/temp_folder.hpp"
#include "support/test.hpp"

#include <string>
#include <string_view>

using namespace sshtpm;
using namespace support;

namespace {

attest::AttestedHost host_named(const std::string& name) {
    return {.host = name,
            .ak_name = Bytes(34, 1),
            .host_key = Bytes(20, 2),
            .selection = attest::PcrSelection::parse("sha384:0,7"),
            .pcrs = {{0, Bytes(48, 3)}, {7, Bytes(48, 4)}},
            .reset_count = 4294967295,
            .event_log = Bytes(5, 6)};
}

std::string replaced(std::string text, std::string_view old, std::string_view other) {
    return text.replace(text.find(old), old.size(), other);
}

} // namespace

TEST_CASE("a record of hosts is read as it was written") {
    const std::vector hosts{host_named("web1"), host_named("[::1]:2222")};
    CHECK(attest::parse_attested_hosts(attest::attested_hosts_text(hosts)) == hosts);
    CHECK(attest::parse_attested_hosts("").empty());
    CHECK(attest::parse_attested_hosts("\n" + attest::attested_hosts_text(hosts) + "\n") == hosts);
}

TEST_CASE("a damaged record tells its line") {
    const auto good = attest::attested_hosts_text({host_named("web1")});
    for (const auto& bad :
         {replaced(good, "web1", ""), replaced(good, "web1", "w\\u0000"),
          replaced(good, "\"resets\":4", "\"resets\":-4"), replaced(good, "\"resets\":4", "\"resets\":44"),
          replaced(good, "0,7", "7,0"), replaced(good, "0,7", "0"), replaced(good, "sha384", "sha256"),
          replaced(good, "\"0303", "\"03"), replaced(good, "\"0303", "\"030G"),
          replaced(good, "\"ak\"", "\"a\""), replaced(good, "{", "{\"more\":1,"), replaced(good, "{", "{ "),
          std::string("[]"), std::string("{")})
        CHECK_THAT(complaint([&] { attest::parse_attested_hosts(good + bad); }),
                   Catch::Matchers::StartsWith("line 2: "));
}

TEST_CASE("a boot takes the place of those that it contradicts") {
    const TempFolder folder;
    const auto file = folder.path() / "state" / "attested_hosts";
    CHECK(attest::read_attested_hosts(file).empty());
    auto boot = host_named("web1");
    auto other_host = host_named("web2"), other_key = boot, other_pcrs = boot;
    other_key.host_key[0] = 9;
    other_pcrs.selection = attest::PcrSelection::parse("sha384:0,8");
    other_pcrs.pcrs = {{0, Bytes(48, 3)}, {8, Bytes(48, 4)}};
    for (const auto& one : {boot, other_host, other_key, other_pcrs})
        attest::record_host(file, one);
    boot.pcrs[7][0] = 5;
    attest::record_host(file, boot);
    CHECK(attest::read_attested_hosts(file) == std::vector{other_host, other_key, other_pcrs, boot});
    boot.pcrs[0][0] = 5; // which is among other_pcrs
    attest::record_host(file, boot);
    CHECK(attest::read_attested_hosts(file) == std::vector{other_host, other_key, boot});
    boot.ak_name[0] = 5;
    boot.reset_count = 1;
    attest::record_host(file, boot);
    CHECK(attest::read_attested_hosts(file) == std::vector{other_host, boot});
}
