// SPDX-License-Identifier: MIT
#pragma once
// Results of `attest verify` for a program: a JSON object a request.

#include "attest/verify.hpp"
#include "base/error.hpp"

#include <string>

namespace sshtpm::attest {

/// One line with its line feed:
///
///     {"file":"web1.json","status":"verified","error":"","host":"web1","made":"…","fresh":false,"ek":"000b…",
///     "ak":"000b…","manufacturer":"id:…","model":"…","version":"id:…","root":"…","known":false,"principals":[],
///     "keys":[{"ssh":"…","fingerprint":"SHA256:…","name":"000b…","no_da":true,"user_with_auth":true,
///     "policy":false}]}
///
/// The maker's texts are empty for an endorsement key that is known. Members may be added, and none is
/// removed.
std::string report_line(const std::string& file, const Request& request, const Proof& proof);

/// {"file":"web1.json","status":"refused","error":"…"}
std::string report_line(const std::string& file, const Error& error);

} // namespace sshtpm::attest
