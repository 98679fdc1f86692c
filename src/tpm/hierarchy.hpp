#pragma once
// The hierarchies of a TPM by their names.

#include <array>
#include <string_view>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

struct Hierarchy {
    std::string_view name;
    std::string_view letter; ///< what tpm2-tools call it
    TPM2_HANDLE handle = TPM2_RH_NULL;
};

inline constexpr std::array hierarchies{
    Hierarchy{"owner", "o", TPM2_RH_OWNER},
    Hierarchy{"endorsement", "e", TPM2_RH_ENDORSEMENT},
    Hierarchy{"platform", "p", TPM2_RH_PLATFORM},
    Hierarchy{"null", "n", TPM2_RH_NULL},
};

} // namespace sshtpm::tpm
