// SPDX-License-Identifier: MIT
#include "wire/writer.hpp"

#include "support/test.hpp"

using namespace support;
using sshtpm::hex;
using sshtpm::wire::Writer;

namespace {

std::string written_mpint(std::string_view digits) {
    return hex(Writer().mpint(unhex(digits)).bytes());
}

} // namespace

TEST_CASE("each type of RFC 4251 is written behind the one before it") {
    Writer writer;
    writer.byte(0x2a).boolean(true).boolean(false).uint32(699921578).uint64(0x0123456789abcdefU);
    writer.text("testing").string(unhex("00ff")).string({}).raw(unhex("c0ffee"));
    CHECK(writer.bytes() == unhex("2a 01 00 29b7f4aa 0123456789abcdef 00000007 74657374696e67"
                                  "00000002 00ff 00000000 c0ffee"));
}

TEST_CASE("mpints are written in their shortest form, the examples of RFC 4251 among them") {
    CHECK(written_mpint("") == "00000000");
    CHECK(written_mpint("09a378f9b2e332a7") == "0000000809a378f9b2e332a7");
    CHECK(written_mpint("80") == "000000020080");
    CHECK(written_mpint("7f") == "000000017f");
    CHECK(written_mpint("ffff") == "0000000300ffff");
    CHECK(written_mpint("00") == "00000000");
    CHECK(written_mpint("000000") == "00000000");
    CHECK(written_mpint("00007f") == "000000017f");
    CHECK(written_mpint("000080") == "000000020080");
    CHECK(written_mpint("000100") == "000000020100");
}

TEST_CASE("integers of the whole range are written") {
    CHECK(hex(Writer().uint32(0).uint32(0xffffffffU).bytes()) == "00000000ffffffff");
    CHECK(hex(Writer().uint64(0).uint64(0xffffffffffffffffU).bytes()) == "0000000000000000ffffffffffffffff");
}
