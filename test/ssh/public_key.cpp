// SPDX-License-Identifier: MIT
#include "ssh/public_key.hpp"

#include "ssh/authorized_key.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

/// A P-256 blob from its parts.
Bytes p256(std::string_view name, std::string_view curve, ByteView point) {
    return wire::Writer().text(name).text(curve).string(point).bytes();
}

Bytes p256(ByteView point) {
    return p256("ecdsa-sha2-nistp256", "nistp256", point);
}

/// The three points of the P-256 curve with this in common: y goes with x = 5 (openssl decompressed it).
const std::string five(63, '0');
const std::string y_of_five = "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc";
const std::string p256_prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const std::string prime_plus_five = "ffffffff00000001000000000000000000000001000000000000000000000004";

Bytes point(const std::string& x, const std::string& y) {
    return unhex("04" + x + y);
}

/// An odd number of exactly this many bits.
Bytes odd_number(unsigned bits) {
    Bytes number((bits + 7) / 8, 0x55);
    number.front() = static_cast<std::uint8_t>(1U << ((bits + 7) % 8));
    return number;
}

std::optional<Errc> refused_blob(ByteView blob) {
    return refusal(PublicKey::from_blob, blob);
}

const Bytes f4 = unhex("010001");

Bytes rsa_blob(ByteView e, ByteView n) {
    return wire::Writer().text("ssh-rsa").mpint(e).mpint(n).bytes();
}

} // namespace

TEST_CASE("the keys of ssh-keygen are parsed and written back") {
    std::size_t count = 0;
    for (const auto& line : vectors::lines("all.pub")) {
        const auto written = AuthorizedKey::parse(line);
        if (!key_type_named(written.type))
            continue;
        ++count;
        const auto key = PublicKey::from_blob(written.blob);
        CHECK(info(key.type()).name == written.type);
        CHECK(equal(key.blob(), written.blob));
    }
    CHECK(count > 30);
}

TEST_CASE("a key has the size that its name says") {
    const unsigned bits[] = {256, 384, 521, 2048, 3072, 4096};
    for (std::size_t i = 0; i < std::size(bits); ++i)
        CHECK(vectors::key(vectors::held_keys[i]).bits() == bits[i]);
}

TEST_CASE("keys are equal when their blobs are") {
    CHECK(vectors::key("ecdsa-256") == vectors::key("ecdsa-256"));
    CHECK_FALSE(vectors::key("ecdsa-256") == vectors::key("ecdsa-384"));
}

TEST_CASE("a key is the same from its numbers as from its blob, with zeros in front or without") {
    for (const auto name : vectors::held_keys) {
        const auto key = vectors::key(name);
        if (const auto* point = std::get_if<EcdsaPoint>(&key.numbers())) {
            CHECK(PublicKey::ecdsa(key.type(), point->x, point->y) == key);
            CHECK(PublicKey::ecdsa(key.type(), fixed_width(point->x, 80), fixed_width(point->y, 70)) == key);
        } else {
            const auto& [n, e] = std::get<RsaNumbers>(key.numbers());
            CHECK(PublicKey::rsa(n, e) == key);
            CHECK(PublicKey::rsa(fixed_width(n, 600), fixed_width(e, 8)) == key);
        }
    }
}

TEST_CASE("coordinates that begin with zero bytes keep their width in the blob") {
    const auto lines = vectors::lines("short-coordinates.pub");
    REQUIRE(lines.size() == 6);
    for (const auto& line : lines) {
        INFO(line);
        const auto blob = AuthorizedKey::parse(line).blob;
        const auto key = PublicKey::from_blob(blob);
        const auto& [x, y] = std::get<EcdsaPoint>(key.numbers());
        CHECK((x.front() == 0 || y.front() == 0));
        CHECK(x.size() == info(key.type()).coordinate_size);
        CHECK(y.size() == info(key.type()).coordinate_size);
        const auto again = PublicKey::ecdsa(key.type(), without_leading_zeros(x), without_leading_zeros(y));
        CHECK(equal(again.blob(), blob));
    }
}

TEST_CASE("every prefix of a key is refused, and so is a byte behind it") {
    for (const auto name : vectors::held_keys) {
        auto blob = vectors::blob(name);
        CHECK(accepted_prefixes(blob, PublicKey::from_blob).empty());
        blob.push_back(0);
        CHECK(refused_blob(blob) == Errc::malformed);
    }
}

TEST_CASE("a key of a type that the agent cannot hold is unsupported") {
    CHECK(refused_blob(vectors::blob("ed25519")) == Errc::unsupported);
    CHECK(refused_blob(vectors::blob("dsa")) == Errc::unsupported);
    CHECK(refused_blob(vectors::blob("ecdsa-256-user-cert")) == Errc::unsupported);
    CHECK(refused_blob(wire::Writer().text("rsa-sha2-256").bytes()) == Errc::unsupported);
}

TEST_CASE("a type that is not text does not reach the message as it is") {
    CHECK_THROWS_WITH(PublicKey::from_blob(wire::Writer().text("a\x1b]b").bytes()), contains("\"a?]b\""));
}

TEST_CASE("the curve inside the blob must be the one of the type") {
    const auto good = point(five + "5", y_of_five);
    CHECK_FALSE(refused_blob(p256(good)));
    CHECK(refused_blob(p256("ecdsa-sha2-nistp256", "nistp384", good)) == Errc::malformed);
    CHECK(refused_blob(p256("ecdsa-sha2-nistp384", "nistp256", good)) == Errc::malformed);
    CHECK(refused_blob(p256("ecdsa-sha2-nistp384", "nistp384", good)) == Errc::malformed);
    CHECK(refused_blob(p256("ecdsa-sha2-nistp256", "", good)) == Errc::malformed);
}

TEST_CASE("a point is on the curve, its coordinates are in the field, and it has them whole") {
    const std::string zero(64, '0'), x = five + "5", y = y_of_five;
    const Bytes bad_points[] = {
        // Not on the curve.
        point(five + "6", y), point(y, x), point(zero, zero),
        // Outside the field, even of a point on the curve.
        point(prime_plus_five, y), point(p256_prime, y), point(x, std::string(64, 'f')),
        // Compressed, hybrid, at infinity, nothing, and a byte too wide.
        unhex("02" + x), unhex("03" + x), unhex("06" + x + y), unhex("00"), Bytes{}, point("00" + x, y)};
    for (const auto& bad : bad_points) {
        INFO(hex(bad));
        CHECK(refused_blob(p256(bad)) == Errc::malformed);
    }
}

TEST_CASE("numbers of the wrong kind, or too wide for the curve, make no key") {
    CHECK(refusal([] { PublicKey::ecdsa(KeyType::rsa, unhex("05"), unhex(y_of_five)); }) == Errc::malformed);
    CHECK(refusal([] { PublicKey::ecdsa(KeyType::ecdsa_p256, unhex("01" + y_of_five), unhex(y_of_five)); }) ==
          Errc::malformed);
    CHECK(refusal([] { PublicKey::ecdsa(KeyType::ecdsa_p256, {}, {}); }) == Errc::malformed);
    CHECK_NOTHROW(PublicKey::ecdsa(KeyType::ecdsa_p256, unhex("05"), unhex(y_of_five)));
}

TEST_CASE("an RSA modulus is odd and has 1024 to 16384 bits") {
    const auto of_bits = [](unsigned bits) { return refused_blob(rsa_blob(f4, odd_number(bits))); };
    CHECK_FALSE(of_bits(1024));
    CHECK_FALSE(of_bits(2047));
    CHECK_FALSE(of_bits(16384));
    CHECK(of_bits(1023) == Errc::malformed);
    CHECK(of_bits(1) == Errc::malformed);
    CHECK(of_bits(16385) == Errc::malformed);
    CHECK(refused_blob(rsa_blob(f4, {})) == Errc::malformed);
    CHECK(PublicKey::rsa(odd_number(2047), f4).bits() == 2047);
    auto even = odd_number(2048);
    even.back() ^= 1U;
    CHECK(refused_blob(rsa_blob(f4, even)) == Errc::malformed);
}

TEST_CASE("an RSA exponent is odd, more than 1 and less than the modulus") {
    const auto n = odd_number(2048);
    CHECK_FALSE(refused_blob(rsa_blob(unhex("03"), n)));
    for (const auto* e : {"", "01", "02", "010000"})
        CHECK(refused_blob(rsa_blob(unhex(e), n)) == Errc::malformed);
    CHECK(refused_blob(rsa_blob(n, n)) == Errc::malformed);
    CHECK(refused_blob(rsa_blob(odd_number(2049), n)) == Errc::malformed);
    CHECK_FALSE(refused_blob(rsa_blob(odd_number(2047), n)));
}

TEST_CASE("RSA numbers that are negative or not in their shortest form are refused") {
    const auto n = odd_number(2048);
    const auto blob = [](ByteView e, ByteView modulus) {
        return wire::Writer().text("ssh-rsa").string(e).string(modulus).bytes();
    };
    auto padded = fixed_width(n, n.size() + 1);
    CHECK_FALSE(refused_blob(blob(f4, padded))); // the sign byte, as the top bit is set
    CHECK(refused_blob(blob(f4, n)) == Errc::malformed);
    CHECK(refused_blob(blob(f4, fixed_width(n, n.size() + 2))) == Errc::malformed);
    CHECK(refused_blob(blob(unhex("00010001"), padded)) == Errc::malformed);
}
