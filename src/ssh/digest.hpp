// SPDX-License-Identifier: MIT
#pragma once

#include "ssh/algorithm.hpp"

namespace sshtpm::ssh {

/// @returns digest_size(hash) bytes
Bytes digest(Hash hash, ByteView data);

} // namespace sshtpm::ssh
