// SPDX-License-Identifier: MIT
#include "bench/malformed.hpp"

#include "bench/connection.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace sshtpm::bench {

namespace {

/// They have no body, so that every message of these types is a good one: both remove all keys.
constexpr std::array always_well_formed{9, 19};

/// What begins a body that is wrong only further on.
constexpr std::array<std::string_view, 5> good_beginnings{"ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa",
                                                          "session-bind@openssh.com", "tpm-add-key"};

} // namespace

Malformed::Malformed(std::set<int> spared) {
    spared.insert(always_well_formed.begin(), always_well_formed.end());
    for (int type = 0; type < 256; ++type)
        if (!spared.contains(type))
            types_.push_back(static_cast<std::uint8_t>(type));
}

/// A length of two thousand million or more, and less than that behind it.
Bytes Malformed::lie() {
    Bytes bytes(4 + random_() % 300);
    for (auto& byte : bytes)
        byte = static_cast<std::uint8_t>(random_());
    bytes.front() |= 0x80;
    return bytes;
}

Bytes Malformed::body() {
    switch (random_() % 4) {
    case 0:
        return {};
    case 1:
        return Bytes(1 + random_() % 3, 0); // not even a length
    case 2:
        return lie();
    default:
        const auto beginning = good_beginnings[random_() % good_beginnings.size()];
        return wire::Writer().string(bytes_of(beginning)).raw(lie()).bytes();
    }
}

Bytes Malformed::frame() {
    // One type in three is one that agents know: what is unknown is refused by its number alone.
    constexpr std::array<std::uint8_t, 12> known{11, 13, 17, 18, 20, 21, 22, 23, 25, 26, 27, 27};
    const auto next = types_[turn_ % types_.size()];
    const auto usual = known[turn_ % known.size()];
    const bool may_be_usual = std::ranges::find(types_, usual) != types_.end();
    const auto type = turn_++ % 3 == 0 && may_be_usual ? usual : next;
    auto rest = body();
    // A good string is a whole request to lock or unlock; what follows would be ignored.
    while ((type == lock || type == unlock) && rest.size() > 3 && (rest.front() & 0x80) == 0)
        rest = body();
    return wire::Writer().uint32(static_cast<std::uint32_t>(rest.size() + 1)).byte(type).raw(rest).bytes();
}

} // namespace sshtpm::bench
