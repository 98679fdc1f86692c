#pragma once
// TPM structures from and to bytes, checked more closely than tss2-mu does.

#include "base/bytes.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// The content, never empty, of a TPM2B whose size field says exactly what follows it.
/// @throws Error(malformed)
ByteView content_of_tpm2b(ByteView tpm2b);

/// From a TPM2B_PUBLIC with its size field. tss2-mu 3.2.1 ignores that size field and takes unknown types, so
/// the inner bytes are unmarshalled alone, and all of them must be used.
/// @throws Error(malformed)
TPMT_PUBLIC unmarshal_public(ByteView tpm2b);
Bytes marshal_public(const TPMT_PUBLIC& area);

TPM2B_PRIVATE unmarshal_private(ByteView tpm2b);
Bytes marshal_private(const TPM2B_PRIVATE& area);

} // namespace sshtpm::keyfile
