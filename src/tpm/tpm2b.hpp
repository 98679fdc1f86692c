#pragma once
// Size arithmetic between byte views and the TPM2B structures, in one place.

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <concepts>
#include <iterator>
#include <memory>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// A TPM2B with a byte buffer.
template <class T>
concept SizedBuffer = requires(T sized) {
    { sized.size } -> std::convertible_to<UINT16>;
    { sized.buffer[0] } -> std::convertible_to<BYTE>;
};

/// @throws Error(malformed) when the bytes do not fit.
template <SizedBuffer T>
T tpm2b_of(ByteView bytes) {
    T out{};
    if (bytes.size() > std::size(out.buffer))
        throw Error(Errc::malformed, "a value is too long for its TPM structure");
    out.size = static_cast<UINT16>(bytes.size());
    std::ranges::copy(bytes, out.buffer);
    return out;
}

/// @throws Error(malformed) when the size field lies.
template <SizedBuffer T>
ByteView view_of(const T& sized) {
    if (sized.size > std::size(sized.buffer))
        throw Error(Errc::malformed, "a TPM structure with a size field that lies");
    return {sized.buffer, sized.size};
}

struct EsysFree {
    void operator()(void* memory) const noexcept;
};
/// What ESYS allocates for its outputs.
template <class T>
using EsysOutput = std::unique_ptr<T, EsysFree>;

} // namespace sshtpm::tpm
