#pragma once
// Between byte views and TPM2B structures.

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <concepts>
#include <iterator>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// A TPM2B with a byte buffer.
template <class T>
concept SizedBuffer = requires(T sized) {
    { sized.size } -> std::convertible_to<UINT16>;
    { sized.buffer[0] } -> std::convertible_to<BYTE>;
};

/// Into a structure whose owner wipes it: no copy is made on the way.
/// @throws Error(malformed) when the bytes do not fit.
template <SizedBuffer T>
void put(ByteView bytes, T& sized) {
    if (bytes.size() > std::size(sized.buffer))
        throw Error(Errc::malformed, "a value is too long for its TPM structure");
    sized.size = static_cast<UINT16>(bytes.size());
    std::ranges::copy(bytes, sized.buffer);
}

/// @throws Error(malformed) when the bytes do not fit.
template <SizedBuffer T>
T tpm2b_of(ByteView bytes) {
    T out{};
    put(bytes, out);
    return out;
}

/// @throws Error(malformed) when the size field lies.
template <SizedBuffer T>
ByteView view_of(const T& sized) {
    if (sized.size > std::size(sized.buffer))
        throw Error(Errc::malformed, "a TPM structure with a size field that lies");
    return {sized.buffer, sized.size};
}

} // namespace sshtpm::keyfile
