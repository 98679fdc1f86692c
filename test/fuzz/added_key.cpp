// SPDX-License-Identifier: MIT
// A message that adds a key, as it goes on to another agent: with a lifetime that is there, or one behind it.

#include "fuzz/target.hpp"
#include "protocol/message.hpp"

using namespace sshtpm;

FUZZ_TARGET(added_key) {
    constexpr std::size_t constraint = 5;
    const ByteView message(data, size);
    if (message.empty())
        return;
    const auto limited = protocol::with_lifetime(message, 60);
    require(limited.size() == size || limited.size() == size + constraint);
    require(equal(ByteView(limited).subspan(1, size - 1), message.subspan(1)));
}
