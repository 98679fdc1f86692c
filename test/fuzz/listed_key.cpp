// SPDX-License-Identifier: MIT
// Blobs in another agent's list: what fingerprint code cannot read never passes as a key of a known type.

#include "fuzz/target.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/verify.hpp"

using namespace sshtpm;

FUZZ_TARGET(listed_key) {
    const ByteView blob(data, size);
    if (ssh::spoils_list(blob))
        return;
    try {
        (void)ssh::describe(blob);
    } catch (const Error& error) {
        require(error.code() == Errc::unsupported);
    }
}
