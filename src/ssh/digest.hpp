// SPDX-License-Identifier: MIT
#pragma once

#include "ssh/algorithm.hpp"

#include <string>

namespace sshtpm::ssh {

/// @returns digest_size(hash) bytes
Bytes digest(Hash hash, ByteView data);

/// The name and the version of the library that makes digests, "OpenSSL 3.0.15 3 Sep 2024".
std::string openssl_version();

} // namespace sshtpm::ssh
