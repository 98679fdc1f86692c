// SPDX-License-Identifier: MIT
#include "der/der.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;

namespace {

/// The elements of a vector's outer SEQUENCE.
der::Reader elements_of(ByteView file) {
    der::Reader outer(file);
    auto elements = outer.sequence();
    outer.expect_end();
    return elements;
}

} // namespace

TEST_CASE("integers that OpenSSL wrote are read") {
    const auto file = data_file("der/uint32.der");
    auto elements = elements_of(file);
    for (const std::uint32_t expected :
         {0U, 1U, 127U, 128U, 255U, 256U, 65535U, 65536U, 2147483647U, 2147483648U, 0x81000001U, 4294967295U})
        CHECK(elements.uint32() == expected);
    elements.expect_end();
}

TEST_CASE("integers beyond 32 bits, below zero and not in their shortest form are refused") {
    const auto file = data_file("der/beyond-uint32.der");
    const auto rest = elements_of(file).rest();
    CHECK_THROWS_WITH(der::Reader(rest).uint32(), contains("negative"));
    CHECK_THROWS_WITH(der::Reader(rest.subspan(3)).uint32(), contains("negative"));
    CHECK_THROWS_WITH(der::Reader(rest.subspan(6)).uint32(), contains("above 2^32-1"));
    CHECK_THROWS_WITH(der::Reader(rest.subspan(13)).uint32(), contains("above 2^32-1"));
    CHECK_THROWS_WITH(der::Reader(unhex("02 02 00 01")).uint32(), contains("shortest form"));
    CHECK_THROWS_WITH(der::Reader(unhex("02 02 00 00")).uint32(), contains("shortest form"));
    CHECK_THROWS_WITH(der::Reader(unhex("02 02 ff ff")).uint32(), contains("negative"));
    CHECK_THROWS_WITH(der::Reader(unhex("02 00")).uint32(), contains("without content"));
}

TEST_CASE("octet strings of every form of length are read") {
    const auto file = data_file("der/octet-strings.der");
    auto elements = elements_of(file);
    for (const std::size_t length : {0U, 1U, 127U, 128U, 255U, 256U, 1000U}) {
        const auto content = elements.octet_string();
        CHECK(equal(content, Bytes(length, 'x')));
    }
    elements.expect_end();
}

TEST_CASE("values of every other type are read") {
    const auto file = data_file("der/values.der");
    auto elements = elements_of(file);
    CHECK(elements.boolean());
    CHECK_FALSE(elements.boolean());
    CHECK(der::dotted(elements.object_identifier()) == "2.23.133.10.1.3");
    CHECK(elements.utf8_string() == "Schlüssel 🔑");
    CHECK(elements.next_is_explicit(0));
    CHECK_FALSE(elements.next_is_explicit(1));
    auto tagged = elements.explicit_tag(0);
    CHECK(tagged.boolean());
    CHECK(tagged.empty());
    CHECK(elements.next_is_explicit(30));
    auto highest = elements.explicit_tag(30);
    CHECK(highest.sequence().empty());
    CHECK(elements.empty());
    CHECK_FALSE(elements.next_is_explicit(0));
}

TEST_CASE("a true of an OpenSSL-based writer is read") {
    CHECK(der::Reader(unhex("01 01 01")).boolean());
    CHECK_THROWS_WITH(der::Reader(unhex("01 00")).boolean(), contains("BOOLEAN of 0 bytes"));
    CHECK_THROWS_WITH(der::Reader(unhex("01 02 00 01")).boolean(), contains("BOOLEAN of 2 bytes"));
}

TEST_CASE("every prefix of an element is refused, and an inner one that reaches out of its outer one") {
    const auto file = data_file("der/octet-strings.der");
    CHECK(accepted_prefixes(file, [](ByteView prefix) { der::Reader(prefix).sequence(); }).empty());
    const Bytes liar = unhex("30 03 04 02 aa bb"); // the OCTET STRING says 2, the SEQUENCE has 1
    auto inner = der::Reader(liar).sequence();
    CHECK_THROWS_WITH(inner.octet_string(), contains("the data ends within OCTET STRING"));
}

TEST_CASE("lengths in any form but the shortest definite one are refused") {
    const auto read = [](std::string_view digits) {
        return der::Reader(unhex(digits)).octet_string().size();
    };
    CHECK(read("04 01 aa") == 1);
    CHECK_THROWS_WITH(read("04 80 aa 00 00"), contains("indefinite length"));
    CHECK_THROWS_WITH(read("04 81 01 aa"), contains("shortest form"));
    CHECK_THROWS_WITH(read("04 82 00 01 aa"), contains("shortest form"));
    CHECK_THROWS_WITH(read("04 83 01 00 00"), contains("64 KiB"));
    CHECK_THROWS_WITH(read("04 84 ff ff ff ff"), contains("64 KiB"));
    CHECK_THROWS_WITH(read("04 ff"), contains("64 KiB"));
}

TEST_CASE("an element of another type is refused by name") {
    const Bytes integer = unhex("02 01 05");
    CHECK_THROWS_WITH(der::Reader(integer).octet_string(), "INTEGER where OCTET STRING belongs");
    CHECK_THROWS_WITH(der::Reader(integer).boolean(), "INTEGER where BOOLEAN belongs");
    CHECK_THROWS_WITH(der::Reader(integer).explicit_tag(5), "INTEGER where [5] belongs");
    CHECK_THROWS_WITH(der::Reader(unhex("24 00")).octet_string(), "tag 0x24 where OCTET STRING belongs");
    CHECK_THROWS_WITH(der::Reader(unhex("bf 1f 00")).sequence(), "tag above 30 where SEQUENCE belongs");
    CHECK_THROWS_WITH(der::Reader({}).sequence(), "the data ends where SEQUENCE belongs");
}

TEST_CASE("a UTF8String that is not UTF-8 is refused") {
    const Bytes latin1 = unhex("0c 02 61 fc");
    CHECK_THROWS_WITH(der::Reader(latin1).utf8_string(), contains("not UTF-8"));
    const Bytes control = unhex("0c 01 1b"); // what may be shown is not this reader's question
    CHECK(der::Reader(control).utf8_string() == "\x1B");
}

TEST_CASE("bytes that are left over are an error") {
    const Bytes two = unhex("01 01 ff 05 00");
    der::Reader reader(two);
    CHECK(reader.boolean());
    CHECK_THROWS_WITH(reader.expect_end(), "bytes after the end (2)");
    CHECK_NOTHROW(der::Reader(ByteView{}).expect_end());
}

TEST_CASE("object identifiers that OpenSSL wrote are told in dotted form") {
    const auto file = data_file("der/object-identifiers.der");
    der::Reader outer(file);
    auto elements = outer.sequence();
    for (const auto* expected : {"0.9.2342.19200300.100.1.1", "1.2.840.113549.1.1.1", "2.5.29.15",
                                 "2.23.133.10.1.4", "2.999.3", "2.25.18446744073709551615"})
        CHECK(der::dotted(elements.object_identifier()) == expected);
    elements.expect_end();
}

TEST_CASE("every prefix of an object identifier that ends within an arc is refused") {
    const Bytes content = unhex("67 81 05 8a 8b 0c");
    for (std::size_t length : {0U, 2U, 4U, 5U})
        CHECK_THROWS_WITH(der::dotted(ByteView(content).first(length)), contains("cut short"));
    for (std::size_t length : {1U, 3U, 6U})
        CHECK_NOTHROW(der::dotted(ByteView(content).first(length)));
}

TEST_CASE("object identifiers that are not in their shortest form or too large are refused") {
    CHECK_THROWS_WITH(der::dotted(unhex("67 80 05")), contains("shortest form"));
    CHECK_THROWS_WITH(der::dotted(unhex("80 67")), contains("shortest form"));
    // 2^64, one more than the greatest arc
    CHECK_THROWS_WITH(der::dotted(unhex("69 82 80 80 80 80 80 80 80 80 00")), contains("above 2^64-1"));
}

TEST_CASE("integers come out as OpenSSL writes them") {
    der::Writer integers;
    for (const std::uint32_t value :
         {0U, 1U, 127U, 128U, 255U, 256U, 65535U, 65536U, 2147483647U, 2147483648U, 0x81000001U, 4294967295U})
        integers.uint32(value);
    CHECK(der::Writer().sequence(integers).bytes() == data_file("der/uint32.der"));
}

TEST_CASE("lengths come out as OpenSSL writes them") {
    der::Writer strings;
    for (const std::size_t length : {0U, 1U, 127U, 128U, 255U, 256U, 1000U})
        strings.octet_string(Bytes(length, 'x'));
    CHECK(der::Writer().sequence(strings).bytes() == data_file("der/octet-strings.der"));
}

TEST_CASE("values of every other type come out as OpenSSL writes them") {
    der::Writer values;
    values.boolean(true)
        .boolean(false)
        .object_identifier(unhex("67 81 05 0a 01 03"))
        .utf8_string("Schlüssel 🔑")
        .explicit_tag(0, der::Writer().boolean(true))
        .explicit_tag(30, der::Writer().sequence(der::Writer()));
    CHECK(der::Writer().sequence(values).bytes() == data_file("der/values.der"));
}

TEST_CASE("the longest element that is written is the longest that is read") {
    const Bytes longest(0xFFFF, 'x');
    const auto written = der::Writer().octet_string(longest).bytes();
    CHECK(equal(der::Reader(written).octet_string(), longest));
    CHECK_THROWS_WITH(der::Writer().octet_string(Bytes(0x10000)), contains("64 KiB"));
}
