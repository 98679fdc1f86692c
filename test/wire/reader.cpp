// SPDX-License-Identifier: MIT
#include "wire/reader.hpp"

#include "support/test.hpp"

using namespace support;
using sshtpm::Bytes;
using sshtpm::ByteView;
using sshtpm::Errc;
using sshtpm::hex;
using sshtpm::wire::Reader;

namespace {

const Bytes message = unhex("2a 01 29b7f4aa 0123456789abcdef 00000007 74657374696e67 00000002 0080 c0ffee");

/// The mpint that the hexadecimal digits hold, as hexadecimal digits.
std::string read_mpint(std::string_view digits) {
    const Bytes encoded = unhex(digits);
    Reader reader(encoded);
    const auto value = reader.unsigned_mpint();
    reader.expect_end();
    return hex(value);
}

} // namespace

TEST_CASE("each type of RFC 4251 is read from where the one before it ends") {
    Reader reader(message);
    CHECK(reader.byte() == 0x2a);
    CHECK(reader.boolean());
    CHECK(reader.uint32() == 699921578); // the example of RFC 4251 section 5
    CHECK(reader.uint64() == 0x0123456789abcdefU);
    CHECK(reader.text() == "testing");
    CHECK(hex(reader.unsigned_mpint()) == "80");
    CHECK_FALSE(reader.empty());
    CHECK(hex(reader.rest()) == "c0ffee");
    CHECK(hex(reader.take(3)) == "c0ffee");
    CHECK(reader.empty());
    CHECK_NOTHROW(reader.expect_end());
}

TEST_CASE("a message cut short anywhere is refused") {
    const auto parse = [](ByteView bytes) {
        Reader reader(bytes);
        reader.byte();
        reader.boolean();
        reader.uint32();
        reader.uint64();
        reader.string();
        reader.unsigned_mpint();
        reader.take(3);
        reader.expect_end();
    };
    CHECK_NOTHROW(parse(message));
    CHECK(accepted_prefixes(message, parse).empty());
}

TEST_CASE("a boolean is true for every byte but zero") {
    const Bytes message = unhex("00 01 02 80 ff");
    Reader reader(message);
    CHECK_FALSE(reader.boolean());
    while (!reader.empty())
        CHECK(reader.boolean());
}

TEST_CASE("integers have the whole of their range, and a string may be empty and hold any bytes") {
    const Bytes message =
        unhex("00000000 ffffffff 0000000000000000 ffffffffffffffff 00000000 00000003 00ff0a");
    Reader reader(message);
    CHECK(reader.uint32() == 0);
    CHECK(reader.uint32() == 0xffffffffU);
    CHECK(reader.uint64() == 0);
    CHECK(reader.uint64() == 0xffffffffffffffffU);
    CHECK(reader.string().empty());
    CHECK(hex(reader.string()) == "00ff0a");
    CHECK(reader.empty());
}

TEST_CASE("a string longer than the message is refused, whatever length it claims") {
    const Bytes nested = unhex("00000005 00000002 61 62 63");
    Reader outer(nested);
    Reader inner(outer.string());
    CHECK(refusal([&] { inner.string(); }) == Errc::malformed); // it does not reach behind its own string
    CHECK(hex(outer.rest()) == "6263");
    for (const auto* digits :
         {"00000001", "00000004 616263", "7fffffff 616263", "ffffffff 616263", "000000"}) {
        INFO(digits);
        const Bytes message = unhex(digits);
        CHECK(refusal([&] { Reader(message).string(); }) == Errc::malformed);
        CHECK(refusal([&] { Reader(message).text(); }) == Errc::malformed);
        CHECK(refusal([&] { Reader(message).unsigned_mpint(); }) == Errc::malformed);
    }
}

TEST_CASE("a read that fails takes nothing, and neither does a read of nothing") {
    const Bytes message = unhex("0102");
    Reader reader(message);
    CHECK(reader.take(0).empty());
    CHECK(refusal([&] { reader.expect_end(); }) == Errc::malformed);
    CHECK(refusal([&] { reader.take(3); }) == Errc::malformed);
    CHECK(refusal([&] { reader.take(static_cast<std::size_t>(-1)); }) == Errc::malformed);
    CHECK(hex(reader.rest()) == "0102");
    CHECK(Reader({}).take(0).empty());
}

TEST_CASE("non-negative mpints are read, the examples of RFC 4251 among them") {
    CHECK(read_mpint("00000000").empty());
    CHECK(read_mpint("00000008 09a378f9b2e332a7") == "09a378f9b2e332a7");
    CHECK(read_mpint("00000002 0080") == "80");
    CHECK(read_mpint("00000001 7f") == "7f");
    CHECK(read_mpint("00000003 00ffff") == "ffff");
    CHECK(read_mpint("00000002 0100") == "0100");
}

TEST_CASE(
    "a negative mpint and one with needless zero bytes are refused, the examples of RFC 4251 among them") {
    for (const auto* digits : {"00000002 edcc", "00000005 ff21524111", "00000001 80", "00000001 ff",
                               "00000001 00", "00000002 007f", "00000003 000080", "00000002 0000"}) {
        INFO(digits);
        CHECK(refusal([&] { read_mpint(digits); }) == Errc::malformed);
    }
}
