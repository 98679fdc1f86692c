// SPDX-License-Identifier: MIT
// The DER reader: walks whatever it takes, elements within elements, and holds what it read to the writer.

#include "der/der.hpp"

#include "fuzz/target.hpp"

using namespace sshtpm;

namespace {

void walk(der::Reader elements, int depth);

/// Reads one element as the type that its tag says, writes it again, and compares what can be the same.
void read_one(der::Reader& elements, int depth) {
    const auto before = elements.rest();
    const auto taken = [&] { return before.first(before.size() - elements.rest().size()); };
    switch (before[0]) {
    case 0x01: // any non-zero byte is true, and only one of them is written
        elements.boolean();
        return;
    case 0x02: {
        const auto value = elements.uint32();
        require(equal(der::Writer().uint32(value).bytes(), taken()));
        return;
    }
    case 0x04: {
        const auto content = elements.octet_string();
        require(equal(der::Writer().octet_string(content).bytes(), taken()));
        return;
    }
    case 0x06: {
        const auto content = elements.object_identifier();
        require(!der::dotted(content).empty());
        require(equal(der::Writer().object_identifier(content).bytes(), taken()));
        return;
    }
    case 0x0C: {
        const auto text = elements.utf8_string();
        require(equal(der::Writer().utf8_string(text).bytes(), taken()));
        return;
    }
    default:
        break;
    }
    for (unsigned number = 0; number <= 30; ++number)
        if (elements.next_is_explicit(number))
            return walk(elements.explicit_tag(number), depth);
    walk(elements.sequence(), depth);
}

void walk(der::Reader elements, int depth) {
    if (depth == 0)
        return;
    while (!elements.empty())
        read_one(elements, depth - 1);
}

} // namespace

FUZZ_TARGET(der) {
    attempt([&] { walk(der::Reader({data, size}), 16); });
}
