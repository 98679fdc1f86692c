// A message that adds a key, as it goes on to another agent: with a lifetime that is there, or one behind it.

#include "protocol/added_key.hpp"

#include <cstdlib>

namespace {

using namespace sshtpm;

void require(bool holds) {
    if (!holds)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t constraint = 5;
    const ByteView message(data, size);
    const auto limited = protocol::with_lifetime(message, 60);
    if (!limited)
        return 0;
    require(limited->size() == size || limited->size() == size + constraint);
    require(equal(ByteView(*limited).subspan(1, size - 1), message.subspan(1)));
    require(protocol::with_lifetime(*limited, 90) == limited);
    return 0;
}
