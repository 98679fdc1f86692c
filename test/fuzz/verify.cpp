// A key blob, a signature blob and the data, as three strings: nothing is thrown, and what is a signature is
// none any more when a bit of it changes.

#include "ssh/verify.hpp"

#include "base/error.hpp"
#include "wire/reader.hpp"

#include <cstdlib>

using namespace sshtpm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    wire::Reader reader(ByteView(data, size));
    ByteView key, signature, message;
    try {
        key = reader.string();
        signature = reader.string();
        message = reader.string();
    } catch (const Error&) {
        return 0;
    }
    if (!ssh::verify_signature(key, signature, message)) // may not throw
        return 0;
    auto changed = copy_of(signature);
    changed.back() ^= 1U;
    if (ssh::verify_signature(key, changed, message))
        std::abort();
    return 0;
}
