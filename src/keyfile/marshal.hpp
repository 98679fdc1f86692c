// SPDX-License-Identifier: MIT
#pragma once
// TPM structures from and to bytes, with more checks than tss2-mu makes.

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <concepts>
#include <iterator>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// The bytes of a TPM2B; each type of TPM2B has another name for them.
template <class T>
auto& buffer_of(T& sized) {
    auto& [size, buffer] = sized;
    return buffer;
}

/// A TPM2B with a byte buffer.
template <class T>
concept SizedBuffer = requires(T sized) {
    { sized.size } -> std::convertible_to<UINT16>;
    { buffer_of(sized)[0] } -> std::convertible_to<BYTE>;
};

/// Copies bytes into a structure. The caller wipes it if they are secret.
/// @throws Error(malformed) if the bytes do not fit
template <SizedBuffer T>
void put(ByteView bytes, T& sized) {
    if (bytes.size() > std::size(buffer_of(sized)))
        malformed("a value is too long for its TPM structure");
    sized.size = static_cast<UINT16>(bytes.size());
    std::ranges::copy(bytes, buffer_of(sized));
}

/// @throws Error(malformed) when the bytes do not fit.
template <SizedBuffer T>
T tpm2b_of(ByteView bytes) {
    T out{};
    put(bytes, out);
    return out;
}

/// @throws Error(malformed) when the size field is larger than the buffer.
template <SizedBuffer T>
ByteView view_of(const T& sized) {
    if (sized.size > std::size(buffer_of(sized)))
        malformed("a TPM structure with a wrong size field");
    return {buffer_of(sized), sized.size};
}

/// Makes a TPM2B: puts the size field in front.
Bytes tpm2b_around(ByteView content);

/// The content of a TPM2B. @throws Error(malformed) if it is empty or has another size than the size field
ByteView content_of_tpm2b(ByteView tpm2b);

/// Parses a whole TPM2B_PUBLIC. tss2-mu 3.2.1 ignores its size field and accepts unknown numbers, so this
/// function checks both. marshal_public writes what was taken with the same bytes.
/// @throws Error(malformed) for an unknown type, hash, curve, scheme or cipher, a reserved attribute, and an
///     authPolicy that is neither empty nor one digest of the nameAlg
TPMT_PUBLIC unmarshal_public(ByteView tpm2b);
Bytes marshal_public(const TPMT_PUBLIC& area);

TPM2B_PRIVATE unmarshal_private(ByteView tpm2b);
Bytes marshal_private(const TPM2B_PRIVATE& area);

} // namespace sshtpm::keyfile
