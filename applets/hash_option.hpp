#pragma once
// -E of keygen and add.

#include "ssh/fingerprint.hpp"

namespace sshtpm::applets {

/// @throws Error(usage) for anything but sha256 and md5.
ssh::FingerprintHash parse_hash(std::string_view word);

} // namespace sshtpm::applets
