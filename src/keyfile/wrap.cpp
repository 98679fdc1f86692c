// SPDX-License-Identifier: MIT
#include "keyfile/wrap.hpp"

#include "keyfile/marshal.hpp"
#include "keyfile/object_name.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t auth_size = TPM2_SHA256_DIGEST_SIZE; ///< in bytes, of a key with nameAlg SHA-256

/// TPM2B_SENSITIVE. The auth value is padded with zero bytes to the size of the digest, as TPMs do: the file
/// must not show the length of the PIN. Only storage keys need a seed (Part 1, 27.5.3).
Secret sensitive_area(TPMI_ALG_PUBLIC type, const Secret& sensitive, ByteView auth) {
    Wiped<TPM2B_SENSITIVE> area;
    area->sensitiveArea.sensitiveType = type;
    if (auth.size() > auth_size)
        malformed("an auth value of more than 32 bytes");
    area->sensitiveArea.authValue.size = auth_size; // the bytes are zero already
    std::ranges::copy(auth, area->sensitiveArea.authValue.buffer);
    if (type == TPM2_ALG_ECC)
        put(sensitive.view(), area->sensitiveArea.sensitive.ecc);
    else
        put(sensitive.view(), area->sensitiveArea.sensitive.rsa);
    Wiped<std::array<std::uint8_t, sizeof(TPM2B_SENSITIVE)>> bytes;
    std::size_t used = 0;
    if (Tss2_MU_TPM2B_SENSITIVE_Marshal(area.get(), bytes->data(), bytes->size(), &used) != TSS2_RC_SUCCESS)
        malformed("a sensitive area that cannot be marshalled");
    return Secret::copy_of(ByteView(*bytes).first(used));
}

} // namespace

KeyFile wrap(const TPMT_PUBLIC& parent, const TPMT_PUBLIC& key, const Secret& sensitive, ByteView auth) {
    require_storage_key(parent);
    const auto sensitive_bytes = sensitive_area(key.type, sensitive, auth);
    auto wrapped = wrap_outer(parent, for_duplicate, object_name(key), sensitive_bytes.view());
    KeyFile out;
    out.kind = KeyKind::importable;
    out.empty_auth = auth.empty();
    out.secret = std::move(wrapped.secret);
    out.public_area = key;
    out.private_area = tpm2b_of<TPM2B_PRIVATE>(wrapped.content);
    return out;
}

} // namespace sshtpm::keyfile
