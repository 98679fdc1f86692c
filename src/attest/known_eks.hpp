// SPDX-License-Identifier: MIT
#pragma once
// The endorsement keys that a certificate authority knows, and the principals that their machines may have.

#include "base/bytes.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::attest {

struct KnownEk {
    Bytes name; ///< of the endorsement key
    std::vector<std::string> principals;
};

/// Parses lines "NAME [PRINCIPAL,PRINCIPAL...]", the Name in hexadecimal; '#' begins a comment line.
/// @throws Error(malformed) that tells the line
std::vector<KnownEk> parse_known_eks(std::string_view text);

/// @returns null if the key is not among them
const KnownEk* find_ek(const std::vector<KnownEk>& known, ByteView name);

} // namespace sshtpm::attest
