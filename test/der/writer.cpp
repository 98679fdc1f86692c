#include "der/writer.hpp"

#include "base/error.hpp"
#include "der/reader.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

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
