// SPDX-License-Identifier: MIT
#include "ssh/public_key.hpp"

#include "base/printable.hpp"
#include "ssh/openssl.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sshtpm::ssh {

namespace {

// As in OpenSSH: SSH_RSA_MINIMUM_MODULUS_SIZE, and the largest number that its parser takes.
constexpr unsigned least_rsa_bits = 1024;
constexpr unsigned most_rsa_bits = 16384;

// The first byte of a point with both coordinates (SEC 1 section 2.3.3).
constexpr std::uint8_t uncompressed = 0x04;

Bytes sec1_point(const EcdsaPoint& point) {
    Bytes out{uncompressed};
    append(out, point.x);
    append(out, point.y);
    return out;
}

/// EC_POINT_oct2point refuses coordinates outside the field and points off the curve. No other check is
/// needed: the three curves have cofactor 1, and the point at infinity has no uncompressed form.
void require_on_curve(KeyType curve, const EcdsaPoint& point) {
    const auto* group = openssl::group_of(curve);
    const openssl::EcPoint parsed(EC_POINT_new(group));
    const auto octets = sec1_point(point);
    openssl::require(parsed &&
                         EC_POINT_oct2point(group, parsed.get(), octets.data(), octets.size(), nullptr) == 1,
                     Errc::malformed, "the point of an ECDSA key is not on its curve");
}

bool is_odd(ByteView integer) {
    return !integer.empty() && (integer.back() & 1U) != 0;
}

bool is_less(ByteView a, ByteView b) {
    return a.size() != b.size() ? a.size() < b.size() : std::ranges::lexicographical_compare(a, b);
}

void require_sound(const RsaNumbers& numbers) {
    const auto bits = bit_length(numbers.n);
    if (bits < least_rsa_bits || bits > most_rsa_bits)
        malformed("an RSA modulus of " + std::to_string(bits) + " bits");
    if (!is_odd(numbers.n))
        malformed("an even RSA modulus");
    if (!is_odd(numbers.e) || bit_length(numbers.e) < 2 || !is_less(numbers.e, numbers.n))
        malformed("an RSA exponent that is even, 1 or larger than the modulus");
}

Bytes encode(KeyType type, const std::variant<EcdsaPoint, RsaNumbers>& numbers) {
    wire::Writer writer;
    writer.text(info(type).name);
    if (const auto* point = std::get_if<EcdsaPoint>(&numbers))
        writer.text(info(type).curve).string(sec1_point(*point));
    else
        writer.mpint(std::get<RsaNumbers>(numbers).e).mpint(std::get<RsaNumbers>(numbers).n);
    return std::move(writer).bytes();
}

} // namespace

unsigned bit_length(ByteView integer) {
    if (integer.empty())
        return 0;
    const auto bits = (integer.size() - 1) * 8 + static_cast<std::size_t>(std::bit_width(integer.front()));
    return static_cast<unsigned>(bits);
}

PublicKey::PublicKey(KeyType type, std::variant<EcdsaPoint, RsaNumbers> numbers)
    : type_(type), numbers_(std::move(numbers)), blob_(encode(type_, numbers_)) {}

PublicKey PublicKey::from_blob(ByteView blob) {
    wire::Reader reader(blob);
    const auto name = reader.text();
    const auto type = key_type_named(name);
    if (!type)
        unsupported("a key of type \"" + printable(name, 64) + "\" cannot be used here");
    auto key = read_fields(reader, *type);
    reader.expect_end();
    return key;
}

PublicKey PublicKey::read_fields(wire::Reader& reader, KeyType type) {
    if (type == KeyType::rsa) {
        const auto e = reader.unsigned_mpint();
        const auto n = reader.unsigned_mpint();
        return rsa(n, e);
    }
    if (reader.text() != info(type).curve)
        malformed("the curve of an ECDSA key does not match its type");
    const auto point = reader.string();
    const auto width = info(type).coordinate_size;
    if (point.size() != 1 + 2 * width || point.front() != uncompressed)
        malformed("the point of an ECDSA key is not in the uncompressed form");
    return ecdsa(type, point.subspan(1, width), point.subspan(1 + width));
}

PublicKey PublicKey::ecdsa(KeyType type, ByteView x, ByteView y) {
    if (type == KeyType::rsa)
        malformed("a point is given for an RSA key");
    const auto width = info(type).coordinate_size;
    EcdsaPoint point{fixed_width(x, width), fixed_width(y, width)};
    require_on_curve(type, point);
    return {type, std::move(point)};
}

PublicKey PublicKey::rsa(ByteView n, ByteView e) {
    RsaNumbers numbers{copy_of(without_leading_zeros(n)), copy_of(without_leading_zeros(e))};
    require_sound(numbers);
    return {KeyType::rsa, std::move(numbers)};
}

bool PublicKey::is_plausible() const {
    const auto* point = std::get_if<EcdsaPoint>(&numbers_);
    if (point == nullptr)
        return true;
    const auto* order = EC_GROUP_get0_order(openssl::group_of(type_));
    for (const auto& coordinate : {point->x, point->y}) {
        const auto number = openssl::number_of(coordinate);
        openssl::require(BN_add_word(number.get(), 1) == 1, Errc::io, "OpenSSL has no memory for a number");
        if (BN_num_bits(number.get()) <= BN_num_bits(order) / 2 || BN_cmp(number.get(), order) >= 0)
            return false;
    }
    return true;
}

unsigned PublicKey::bits() const {
    const auto* numbers = std::get_if<RsaNumbers>(&numbers_);
    return numbers != nullptr ? bit_length(numbers->n) : info(type_).bits;
}

} // namespace sshtpm::ssh
