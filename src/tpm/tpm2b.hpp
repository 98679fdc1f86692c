#pragma once
// TPM2B structures, and what ESYS allocates.

#include "keyfile/tpm2b.hpp"

#include <memory>

namespace sshtpm::tpm {

using keyfile::tpm2b_of;
using keyfile::view_of;

struct EsysFree {
    void operator()(void* memory) const noexcept;
};
/// What ESYS allocates for its outputs.
template <class T>
using EsysOutput = std::unique_ptr<T, EsysFree>;

} // namespace sshtpm::tpm
