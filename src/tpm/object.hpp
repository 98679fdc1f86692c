#pragma once
// What the TPM says about an object that it holds.

#include "base/bytes.hpp"
#include "tpm/handle.hpp"

namespace sshtpm::tpm {

class Context;

/// The persistent object at a handle (TPM2_ReadPublic); empty when there is none.
Handle look_up(const Context& context, TPM2_HANDLE handle);

/// TPM2_ReadPublic.
TPMT_PUBLIC read_public(const Context& context, ESYS_TR object);

/// Whether the TPM has at its number what was loaded there (TPM2_ReadPublic). After a reset, or where
/// somebody has flushed it, there may be nothing, or another program's object.
bool is_still_there(const Context& context, const Handle& object) noexcept;

/// An object's Name, as ESYS has it: no command.
Bytes name_of(const Context& context, ESYS_TR object);

} // namespace sshtpm::tpm
