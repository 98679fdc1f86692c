#include "der/object_identifier.hpp"

#include "base/error.hpp"
#include "der/reader.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

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
        CHECK_THROWS_WITH(der::check_object_identifier(ByteView(content).first(length)),
                          contains("cut short"));
    for (std::size_t length : {1U, 3U, 6U})
        CHECK_NOTHROW(der::check_object_identifier(ByteView(content).first(length)));
}

TEST_CASE("object identifiers that are not in their shortest form or too large are refused") {
    CHECK_THROWS_WITH(der::dotted(unhex("67 80 05")), contains("shortest form"));
    CHECK_THROWS_WITH(der::dotted(unhex("80 67")), contains("shortest form"));
    // 2^64, one more than the greatest arc
    CHECK_THROWS_WITH(der::dotted(unhex("69 82 80 80 80 80 80 80 80 80 00")), contains("above 2^64-1"));
    const Bytes element = unhex("06 02 67 81");
    CHECK_THROWS_WITH(der::Reader(element).object_identifier(), contains("cut short"));
}
