#pragma once
// The picture of a fingerprint that ssh-keygen -lv draws ("drunken bishop", Loss, Limmer and von Gernler
// 2009).

#include "ssh/fingerprint.hpp"

namespace sshtpm::ssh {

/// Eleven lines, the last one without a newline.
std::string randomart(const KeyDescription& key, FingerprintHash hash = FingerprintHash::sha256);

} // namespace sshtpm::ssh
