// SPDX-License-Identifier: MIT
#include "ssh/fingerprint.hpp"

#include "ssh/authorized_key.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <iterator>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

/// What `ssh-keygen -lv` prints for one key.
std::string printed(const std::string& line, FingerprintHash hash) {
    const auto key = AuthorizedKey::parse(line);
    return fingerprint_line(key.blob, key.comment, hash) + "\n" + randomart(describe(key.blob), hash) + "\n";
}

} // namespace

TEST_CASE("fingerprint and randomart of every type are what ssh-keygen -lv prints, with -E md5 too") {
    constexpr std::size_t lines_of_a_key = 12;
    const auto [ending, hash] = GENERATE(table<std::string, FingerprintHash>(
        {{"sha256", FingerprintHash::sha256}, {"md5", FingerprintHash::md5}}));
    const auto [name, least] =
        GENERATE(table<std::string, std::size_t>({{"all.", 30}, {"mldsa44-ed25519.", 2}}));
    const auto keys = vectors::lines(name + "pub");
    const auto expected = vectors::lines(name + ending);
    REQUIRE(keys.size() >= least);
    REQUIRE(expected.size() == keys.size() * lines_of_a_key);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::string one;
        for (std::size_t line = 0; line < lines_of_a_key; ++line)
            one += expected[i * lines_of_a_key + line] + "\n";
        CHECK(printed(keys[i], hash) == one);
    }
}

TEST_CASE("the vectors have every type of OpenSSH 9.2") {
    const auto text = data_text("ssh/all.sha256");
    for (const auto* label : {"RSA", "DSA", "ECDSA", "ED25519", "ECDSA-SK", "ED25519-SK"}) {
        CHECK_THAT(text, contains("(" + std::string(label) + ")\n"));
        CHECK_THAT(text, contains("(" + std::string(label) + "-CERT)\n"));
    }
}

TEST_CASE("hashes are named as for ssh-keygen -E") {
    for (const auto* word : {"sha256", "SHA256"})
        CHECK(fingerprint_hash_named(word) == FingerprintHash::sha256);
    for (const auto* word : {"md5", "Md5"})
        CHECK(fingerprint_hash_named(word) == FingerprintHash::md5);
    for (const auto* word : {"", "sha1", "sha512", "sha-256", "md5 ", "md"})
        CHECK_FALSE(fingerprint_hash_named(word));
}

TEST_CASE("a key without a comment says so, and a comment cannot steer the terminal") {
    const auto blob = vectors::blob("ed25519");
    const auto line = [&](std::string_view comment) {
        return fingerprint_line(blob, comment, FingerprintHash::md5);
    };
    CHECK_THAT(line(""), contains(" no comment (ED25519)"));
    CHECK_THAT(line("a\x1b[2Jb"), contains(" a?[2Jb (ED25519)"));
    CHECK_THAT(line(std::string(1000, 'x')), contains(" " + std::string(1000, 'x') + " (ED25519)"));
}

TEST_CASE("every prefix of a key of any type is refused, and so is a byte behind it") {
    auto lines = vectors::lines("all.pub");
    std::ranges::copy(vectors::lines("mldsa44-ed25519.pub"), std::back_inserter(lines));
    for (const auto& line : lines) {
        INFO(line);
        auto blob = AuthorizedKey::parse(line).blob;
        if (blob.size() <= 3000) // a 16384 bit modulus adds seconds and no other way to be cut
            CHECK(accepted_prefixes(blob, describe).empty());
        blob.push_back(0);
        CHECK(refusal(describe, blob) == Errc::malformed);
    }
}

TEST_CASE("a key of an unknown type has no size, and a label made of its type") {
    const auto blob = wire::Writer().text("ssh-new2@example.com").raw(Bytes{1, 2, 3}).bytes();
    const auto key = describe(blob);
    CHECK(key.bits == 0);
    CHECK(key.label == "NEW2");
    CHECK(key.plain_blob == blob);
    CHECK(describe(wire::Writer().text("ssh-ed448").string({}).bytes()).label == "ED448");
}

TEST_CASE("a key whose type has a name that RFC 4251 does not allow is refused") {
    for (const auto& name : {std::string(), std::string("ssh new"), std::string("ssh-\x1b[2J"),
                             std::string("a,b"), std::string(65, 'x')})
        CHECK(refusal(describe, wire::Writer().text(name).string({}).bytes()) == Errc::unsupported);
}

TEST_CASE("an Ed25519 key that is not of 32 bytes is refused") {
    for (const std::size_t size : {0U, 31U, 33U, 64U}) {
        const Bytes key(size, 0x42);
        CHECK(refusal(describe, wire::Writer().text("ssh-ed25519").string(key).bytes()) == Errc::malformed);
        CHECK(refusal(describe,
                      wire::Writer().text("sk-ssh-ed25519@openssh.com").string(key).text("ssh:").bytes()) ==
              Errc::malformed);
    }
    CHECK_FALSE(refusal(describe, wire::Writer().text("ssh-ed25519").string(Bytes(32, 0x42)).bytes()));
}

TEST_CASE("a DSA key with a number that is zero or longer than its prime is refused") {
    const auto dsa = [](ByteView p, ByteView q, ByteView g, ByteView y) {
        return refusal(describe, wire::Writer().text("ssh-dss").mpint(p).mpint(q).mpint(g).mpint(y).bytes());
    };
    const Bytes p(128, 0xf1), longer(129, 0x11), one{1}, huge(2049, 0x11);
    CHECK_FALSE(dsa(p, one, one, one));
    CHECK(dsa({}, one, one, one) == Errc::malformed);
    CHECK(dsa(p, {}, one, one) == Errc::malformed);
    CHECK(dsa(p, one, longer, one) == Errc::malformed);
    CHECK(dsa(p, one, one, longer) == Errc::malformed);
    CHECK(dsa(huge, one, one, one) == Errc::malformed);
}

TEST_CASE("a point of an sk key is checked as any other") {
    auto blob = wire::Writer().text("sk-ecdsa-sha2-nistp256@openssh.com").bytes();
    append(blob,
           ByteView(vectors::blob("ecdsa-256")).subspan(4 + 19)); // behind the name "ecdsa-sha2-nistp256"
    append(blob, wire::Writer().text("ssh:").bytes());
    CHECK_FALSE(refusal(describe, blob));
    blob[blob.size() - 9] ^= 1U; // the last byte of y
    CHECK(refusal(describe, blob) == Errc::malformed);
}
