#pragma once
// Checks of a TPMT_PUBLIC that tss2-mu does not make.

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// Checks the area against the tables of the TPM 2.0 Library specification, part 2, sections 8.3 and 12.2:
/// known object types, hashes, curves, schemes and ciphers, no reserved attribute, an authPolicy that is
/// empty or one digest of the nameAlg. The combination is for the TPM to check.
/// @throws Error(malformed)
void check_public_area(const TPMT_PUBLIC& area);

} // namespace sshtpm::keyfile
