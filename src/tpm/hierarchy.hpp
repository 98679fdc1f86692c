#pragma once
// The hierarchies of a TPM: their names, and what the TPM and ESYS call them.

#include <array>
#include <string_view>

#include <tss2/tss2_esys.h>

namespace sshtpm::tpm {

struct Hierarchy {
    std::string_view name;
    std::string_view letter; ///< what tpm2-tools call it
    TPM2_HANDLE handle = TPM2_RH_NULL;
    ESYS_TR tr = ESYS_TR_RH_NULL;
};

inline constexpr std::array hierarchies{
    Hierarchy{"owner", "o", TPM2_RH_OWNER, ESYS_TR_RH_OWNER},
    Hierarchy{"endorsement", "e", TPM2_RH_ENDORSEMENT, ESYS_TR_RH_ENDORSEMENT},
    Hierarchy{"platform", "p", TPM2_RH_PLATFORM, ESYS_TR_RH_PLATFORM},
    Hierarchy{"null", "n", TPM2_RH_NULL, ESYS_TR_RH_NULL},
};

/// @throws Error(unsupported) for a handle that is none of theirs.
const Hierarchy& hierarchy_of(TPM2_HANDLE handle);

} // namespace sshtpm::tpm
