#pragma once

#include "ssh/algorithm.hpp"

namespace sshtpm::ssh {

/// In digest_size(hash) bytes.
Bytes digest(Hash hash, ByteView data);

} // namespace sshtpm::ssh
