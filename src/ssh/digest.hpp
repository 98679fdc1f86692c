#pragma once
// Message digests by OpenSSL.

#include "ssh/algorithm.hpp"

namespace sshtpm::ssh {

/// digest_size(hash) bytes.
Bytes digest(Hash hash, ByteView data);

} // namespace sshtpm::ssh
