// SPDX-License-Identifier: MIT
#pragma once
// Verifies a request at the certificate authority, without a TPM.

#include "attest/document.hpp"
#include "attest/endorsement.hpp"
#include "attest/known_eks.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::attest {

/// What a request must meet.
struct Demands {
    std::optional<EkRoots> roots = {};
    std::vector<KnownEk> known = {};
    Eku eku = Eku::required;
    std::optional<std::string> nonce = {};
    std::chrono::seconds max_age = std::chrono::hours(24); ///< for a request without the CA's nonce
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now();
};

/// What a verified request proves, once its sealed answer is opened: the keys are in the one TPM of this
/// endorsement key. It does not prove whose machine that TPM is in.
struct Proof {
    Bytes ek_name, ak_name;
    std::optional<EkCertificate> certificate; ///< nothing for an endorsement key that is known
    std::optional<KnownEk> known;             ///< that of the demands
    bool fresh = false;                       ///< made for the CA's nonce
};

/// @throws Error(refused | malformed) that names the failed check
Proof verify(const Request& request, const Demands& demands);

} // namespace sshtpm::attest
