#pragma once
// From what a person typed to an auth value.

#include "tpm/session.hpp"

namespace sshtpm::tpm {

/// The longest PIN: the digest size of the keys' name algorithm, SHA-256, bounds their auth value
/// (TPM 2.0 Part 1, 19.6.4.3).
inline constexpr std::size_t max_pin = 32;

/// UTF-8 as typed, zero bytes at the end stripped, as the TPM does. Null for an empty PIN.
/// @throws Error(usage) for more than max_pin bytes.
Auth to_auth(Secret typed);

} // namespace sshtpm::tpm
