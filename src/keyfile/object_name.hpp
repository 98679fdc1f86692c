// SPDX-License-Identifier: MIT
#pragma once
// The Name by which a TPM knows an object.

#include "base/bytes.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// The Name: nameAlg, then the digest of the public area by it (TPM 2.0 Part 1, clause 16).
/// @throws Error(unsupported) for a nameAlg other than SHA-256, SHA-384 and SHA-512
Bytes object_name(const TPMT_PUBLIC& area);

/// True if object_name could have made this Name, by its algorithm and size.
bool is_object_name(ByteView name) noexcept;

} // namespace sshtpm::keyfile
