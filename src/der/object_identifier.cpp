#include "der/object_identifier.hpp"

#include "base/error.hpp"

#include <limits>
#include <vector>

namespace sshtpm::der {

namespace {

/// The subidentifiers: base 128, most significant first, the high bit set on all octets but the last.
std::vector<std::uint64_t> subidentifiers(ByteView content) {
    std::vector<std::uint64_t> numbers;
    std::uint64_t value = 0;
    bool within = false;
    for (const auto octet : content) {
        if (!within && octet == 0x80)
            malformed("OBJECT IDENTIFIER that is not in its shortest form");
        if (value > std::numeric_limits<std::uint64_t>::max() >> 7U)
            malformed("OBJECT IDENTIFIER with an arc above 2^64-1");
        value = value << 7U | (octet & 0x7FU);
        within = (octet & 0x80U) != 0;
        if (!within) {
            numbers.push_back(value);
            value = 0;
        }
    }
    if (within || numbers.empty())
        malformed("OBJECT IDENTIFIER that is cut short");
    return numbers;
}

} // namespace

void check_object_identifier(ByteView content) {
    subidentifiers(content);
}

std::string dotted(ByteView content) {
    const auto numbers = subidentifiers(content);
    // The first one holds two arcs: 40 times the root arc (0, 1 or 2) and the arc below it.
    const std::uint64_t root = numbers[0] < 80 ? numbers[0] / 40 : 2;
    std::string text = std::to_string(root) + "." + std::to_string(numbers[0] - root * 40);
    for (std::size_t i = 1; i < numbers.size(); ++i)
        text.append(".").append(std::to_string(numbers[i]));
    return text;
}

} // namespace sshtpm::der
