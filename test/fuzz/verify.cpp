// SPDX-License-Identifier: MIT
// A key blob, a signature blob and the data, as three strings: nothing is thrown, and what is a signature is
// none any more when a bit of it changes.

#include "ssh/verify.hpp"

#include "fuzz/target.hpp"
#include "wire/reader.hpp"

using namespace sshtpm;

FUZZ_TARGET(verify) {
    wire::Reader reader(ByteView(data, size));
    ByteView key, signature, message;
    try {
        key = reader.string();
        signature = reader.string();
        message = reader.string();
    } catch (const Error&) {
        return;
    }
    if (!ssh::verify_signature(key, signature, message)) // may not throw
        return;
    auto changed = copy_of(signature);
    changed.back() ^= 1U;
    require(!ssh::verify_signature(key, changed, message));
}
