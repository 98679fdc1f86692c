// SPDX-License-Identifier: MIT
// Certificate blobs of every type; of those that this agent can hold, describe() and Certificate must agree.

#include "ssh/certificate.hpp"

#include "fuzz/target.hpp"
#include "ssh/fingerprint.hpp"

using namespace sshtpm;

FUZZ_TARGET(certificate) {
    const ByteView blob(data, size);
    const auto description = taken(ssh::describe, blob);
    const auto certificate = taken(ssh::Certificate::from_blob, blob);
    if (!certificate)
        return;
    require(description && equal(certificate->blob, blob) &&
            equal(certificate->public_key.blob(), description->plain_blob) &&
            certificate->public_key.bits() == description->bits &&
            ssh::read_certificate(blob).principals.size() <= 256);
}
