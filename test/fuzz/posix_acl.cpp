// SPDX-License-Identifier: MIT
// The access control list of a file with a PIN, as the kernel gives it.

#include "fuzz/target.hpp"
#include "os/secret_line.hpp"

using namespace sshtpm;

FUZZ_TARGET(posix_acl) {
    const ByteView acl(data, size);
    if (os::lets_others_in(acl, 0))
        return;
    require(size % 8 == 4);
    require(!os::lets_others_in(acl, 1000)); // who may have rights of its own in the list
}
