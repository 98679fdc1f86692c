// Certificate blobs of every type; of those that this agent can hold, describe() and Certificate must agree.

#include "ssh/certificate.hpp"

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "ssh/fingerprint.hpp"

#include <cstdlib>

using namespace sshtpm;

namespace {

std::optional<ssh::KeyDescription> described(ByteView blob) {
    try {
        return ssh::describe(blob);
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::optional<ssh::Certificate> parsed(ByteView blob) {
    try {
        return ssh::Certificate::from_blob(blob);
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace

FUZZ_TARGET(certificate) {
    const ByteView blob(data, size);
    const auto description = described(blob);
    const auto certificate = parsed(blob);
    if (!certificate)
        return;
    if (!description || !equal(certificate->blob, blob) ||
        !equal(certificate->public_key.blob(), description->plain_blob) ||
        certificate->public_key.bits() != description->bits || certificate->principals.size() > 256)
        std::abort();
}
