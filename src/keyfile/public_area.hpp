#pragma once
// What a TPMT_PUBLIC may hold, beyond what tss2-mu looks at.

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// Holds the area to the tables of the TPM 2.0 Library specification, part 2, sections 8.3 and 12.2:
/// known object types, hashes, curves, schemes and ciphers, no reserved attribute, an authPolicy that is
/// empty or one digest of the nameAlg. Whether the combination makes sense is the TPM's to say.
/// @throws Error(malformed)
void check_public_area(const TPMT_PUBLIC& area);

} // namespace sshtpm::keyfile
