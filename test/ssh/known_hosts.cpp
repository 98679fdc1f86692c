// SPDX-License-Identifier: MIT
#include "ssh/known_hosts.hpp"

#include "base/base64.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

KnownHost of_row(std::string_view word) {
    const bool is_ca = word.starts_with("ca:");
    return {.key_blob = unhex(word.substr(is_ca ? 3 : 0)), .is_ca = is_ca};
}

/// "ssh-ed25519 AAAA…"
std::string key() {
    return "ssh-ed25519 " + base64_encode(vectors::blob("ed25519"));
}

std::size_t count(const std::string& text, std::string_view host) {
    return find_known_hosts(text, host).size();
}

} // namespace

TEST_CASE("the keys of a host are those that ssh-add finds") {
    const auto text = data_text("ssh/known_hosts/known_hosts");
    const auto rows = vectors::lines("known_hosts/found.txt");
    CHECK(rows.size() > 25);
    for (const auto& row : rows) {
        const auto words = vectors::words(row);
        INFO(words.at(0));
        std::vector<KnownHost> expected;
        for (std::size_t i = 1; i < words.size(); ++i)
            expected.push_back(of_row(words[i]));
        CHECK(find_known_hosts(text, words[0]) == expected);
    }
}

TEST_CASE("lines that are broken or empty take nothing from those around them") {
    const auto good = "a " + key() + "\n";
    CHECK(count("", "a") == 0);
    for (const auto* const broken :
         {"", "# a", "a", "a ssh-ed25519", "a ssh-ed25519 AAAA", "@revoked", "|1|", "|1||", "|1|AAAA|AAAA x",
          "@cert-authority", "@cert-authority a", "\xff\xfe \x01"}) {
        INFO(broken);
        CHECK(count(good + broken + "\n" + good, "a") == 2);
    }
}

TEST_CASE("a line ends at a NUL") { // OpenSSH 9.2 reads on behind one, and later releases do not
    using namespace std::string_literals;
    CHECK(count("a\0 "s + key(), "a") == 0);
    CHECK(count("a "s + key() + "\0AAAA"s, "a") == 1);
}

TEST_CASE("a line cut short anywhere gives its key whole or not at all") {
    const auto line = "@cert-authority a,b " + key();
    const auto expected = find_known_hosts(line, "a");
    REQUIRE(expected.size() == 1);
    CHECK(expected[0] == KnownHost{.key_blob = vectors::blob("ed25519"), .is_ca = true});
    for (std::size_t length = 0; length < line.size(); ++length)
        CHECK(find_known_hosts(line.substr(0, length), "a").empty());
}
