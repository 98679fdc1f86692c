#include "keyfile/marshal.hpp"

#include "base/error.hpp"
#include "keyfile/public_area.hpp"

#include <algorithm>
#include <string>

#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t size_field = 2; ///< a TPM2B begins with its UINT16 size

Bytes with_size(ByteView content) {
    Bytes tpm2b{static_cast<std::uint8_t>(content.size() >> 8U),
                static_cast<std::uint8_t>(content.size() & 0xFFU)};
    append(tpm2b, content);
    return tpm2b;
}

} // namespace

ByteView content_of_tpm2b(ByteView tpm2b) {
    if (tpm2b.size() < size_field)
        malformed("too short for a TPM2B");
    const std::size_t size = static_cast<std::size_t>(tpm2b[0]) << 8U | tpm2b[1];
    const auto content = tpm2b.subspan(size_field);
    if (size != content.size())
        malformed("the size field says " + std::to_string(size) + " bytes, there are " +
                  std::to_string(content.size()));
    if (content.empty())
        malformed("an empty TPM2B");
    return content;
}

TPMT_PUBLIC unmarshal_public(ByteView tpm2b) {
    const auto content = content_of_tpm2b(tpm2b);
    TPMT_PUBLIC area{};
    std::size_t used = 0;
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(content.data(), content.size(), &used, &area) != TSS2_RC_SUCCESS)
        malformed("not a TPMT_PUBLIC");
    if (used != content.size())
        malformed("bytes behind the TPMT_PUBLIC (" + std::to_string(content.size() - used) + ")");
    check_public_area(area);
    return area;
}

Bytes marshal_public(const TPMT_PUBLIC& area) {
    Bytes content(sizeof area); // the C struct is larger than its marshalled form: no padding, sizes cut
    std::size_t used = 0;
    if (Tss2_MU_TPMT_PUBLIC_Marshal(&area, content.data(), content.size(), &used) != TSS2_RC_SUCCESS)
        malformed("a TPMT_PUBLIC that cannot be marshalled");
    return with_size(ByteView(content).first(used));
}

TPM2B_PRIVATE unmarshal_private(ByteView tpm2b) {
    const auto content = content_of_tpm2b(tpm2b);
    TPM2B_PRIVATE area{};
    if (content.size() > sizeof area.buffer)
        malformed("a TPM2B_PRIVATE of " + std::to_string(content.size()) + " bytes");
    area.size = static_cast<UINT16>(content.size());
    std::ranges::copy(content, std::begin(area.buffer));
    return area;
}

Bytes marshal_private(const TPM2B_PRIVATE& area) {
    if (area.size > sizeof area.buffer)
        malformed("a TPM2B_PRIVATE of " + std::to_string(area.size) + " bytes");
    return with_size(ByteView(area.buffer).first(area.size));
}

} // namespace sshtpm::keyfile
