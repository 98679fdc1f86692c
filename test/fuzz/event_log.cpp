// SPDX-License-Identifier: MIT
// An event log that is read can be replayed, and its events are shown without control characters.

#include "attest/event_log.hpp"

#include "base/printable.hpp"
#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(event_log) {
    for (const std::string_view all : {"sha256:0-23", "sha384:0-23"}) {
        const auto selection = attest::PcrSelection::parse(all);
        const auto log = taken([&] { return attest::parse_event_log({data, size}, selection.bank); });
        if (!log)
            continue;
        for (const auto& [number, value] : attest::replayed(*log, selection))
            require(value.size() == attest::digest_size(selection.bank));
        for (const auto& event : log->events)
            require(!event.digest.empty() && is_printable(attest::describe(event)));
    }
}
