// SPDX-License-Identifier: MIT
// The endorsement keys that a certificate authority knows: each line that is read can be found by its Name.

#include "attest/known_eks.hpp"

#include "fuzz/target.hpp"

#include <algorithm>

using namespace sshtpm;

FUZZ_TARGET(known_eks) {
    const auto known = taken(attest::parse_known_eks, text_of({data, size}));
    if (!known)
        return;
    for (const auto& ek : *known) {
        require(ek.name.size() >= 34 && attest::find_ek(*known, ek.name) != nullptr);
        require(std::ranges::none_of(ek.principals, [](const auto& principal) {
            return principal.empty() || principal.find(',') != std::string::npos;
        }));
    }
}
