#pragma once
// One signature by a loaded key.

#include "base/bytes.hpp"

#include <variant>

#include <tss2/tss2_esys.h>

namespace sshtpm::tpm {

class Context;
class Handle;

/// The TPM did not take the auth value. Its dictionary-attack counter may have gone up.
struct WrongAuth {};

using SignResult = std::variant<TPMT_SIGNATURE, WrongAuth>;

/// TPM2_Sign with ECDSA or RSASSA, by the key's type.
/// @param session ESYS_TR_PASSWORD for a key with an empty auth value, else an HMAC session; the auth value
///     is set on `key` by the caller.
/// @param digest a digest of `hash`.
/// @throws Error for everything but a refused auth value.
SignResult sign(const Context& context, ESYS_TR key, TPMI_ALG_PUBLIC type, ESYS_TR session,
                TPMI_ALG_HASH hash, ByteView digest);

} // namespace sshtpm::tpm
