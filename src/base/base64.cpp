// SPDX-License-Identifier: MIT
#include "base/base64.hpp"

#include "base/error.hpp"

#include <sodium.h>

namespace sshtpm {

std::string base64_encode(ByteView bytes, Base64Padding padding) {
    const int variant = padding == Base64Padding::with ? sodium_base64_VARIANT_ORIGINAL
                                                       : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    std::string out(sodium_base64_encoded_len(bytes.size(), variant), '\0');
    sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), variant);
    out.pop_back(); // the terminating NUL, which sodium counts
    return out;
}

Bytes base64_decode(std::string_view text) {
    Bytes out(text.size() / 4 * 3 + 3);
    std::size_t length = 0;
    const char* end = nullptr;
    const bool decoded = sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &length,
                                           &end, sodium_base64_VARIANT_ORIGINAL) == 0;
    out.resize(decoded ? length : 0);
    // libsodium 1.0.18 reads every byte from 0x80 on as '/', so the text is compared with a new encoding.
    if (!decoded || end != text.data() + text.size() || base64_encode(out) != text)
        throw Error(Errc::malformed, "the base64 text is damaged");
    return out;
}

} // namespace sshtpm
