// SPDX-License-Identifier: MIT
// A sealed answer that is read is written as the same bytes; without its secret nothing opens it.

#include "attest/seal.hpp"
#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(attest_sealed) {
    const auto text = text_of({data, size});
    const auto sealed = taken(attest::Sealed::parse, text);
    if (!sealed)
        return;
    require(sealed->text() == text);
    const auto secret = Secret::copy_of(bytes_of("0123456789abcdef0123456789abcdef"));
    require(!taken([&] { return attest::open(*sealed, secret, {}, {}); }));
}
