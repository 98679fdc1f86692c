#pragma once
// The picture of a fingerprint ("drunken bishop", Loss, Limmer and von Gernler 2009), byte for byte as
// ssh-keygen -lv draws it.

#include "ssh/fingerprint.hpp"

namespace sshtpm::ssh {

/// Eleven lines, the last one without a newline.
std::string randomart(const KeyDescription& key, FingerprintHash hash = FingerprintHash::sha256);

} // namespace sshtpm::ssh
