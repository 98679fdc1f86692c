// SPDX-License-Identifier: MIT
// What a TPM attests, its signature, and the public area of a key: what is taken is written as it was.

#include "keyfile/attest_structure.hpp"

#include "fuzz/target.hpp"
#include "keyfile/marshal.hpp"

using namespace sshtpm;

FUZZ_TARGET(attest_structure) {
    const ByteView input(data, size);
    if (const auto attest = taken(keyfile::unmarshal_attest, input))
        require(equal(keyfile::marshal_attest(*attest), input));
    if (const auto signature = taken(keyfile::unmarshal_signature, input))
        require(equal(keyfile::marshal_signature(*signature), input));
    if (const auto area = taken(keyfile::unmarshal_public, input))
        require(equal(keyfile::marshal_public(*area), input));
}
