// SPDX-License-Identifier: MIT
#pragma once
// The documents that a device and a certificate authority exchange: JSON (RFC 8259) of one form alone.
// Members come in the order below, there are no others, and there is no white space but a line feed at the
// end. A text that `text` would write otherwise is refused, so no byte of a document is without meaning.

#include "attest/certified_key.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::attest {

inline constexpr std::size_t max_request = std::size_t{64} * 1024,
                             max_sealed = std::size_t{256} * 1024; ///< bytes
inline constexpr std::size_t max_certificates = 8;

/// "2026-11-28T08:00:00Z" (RFC 3339 in UTC, without fractions of a second). @returns nothing for another form
std::optional<std::chrono::sys_seconds> parse_time(std::string_view text);
std::string time_text(std::chrono::sys_seconds time);

/// What a device asks a certificate authority for: "ssh-tpm-attestation-1".
struct Request {
    std::string made;     ///< "2026-11-28T08:00:00Z"
    std::string host;     ///< the device's own word; may be empty
    std::string nonce;    ///< the CA's, or empty
    Bytes ek_certificate; ///< DER; may be empty
    std::vector<Bytes> chain;
    TPMT_PUBLIC ek;
    TPMT_PUBLIC ak;
    std::vector<CertifiedKey> keys;

    /// @throws Error(malformed)
    static Request parse(std::string_view text);
    std::string text() const;
};

/// The qualifying data of a request's TPM2_Certify: who asks for which certificate, and when.
Digest qualifying_data(const Request& request, ByteView ssh_blob);

/// The answer: certificates that one TPM alone can open. "ssh-tpm-sealed-1".
struct Sealed {
    Digest request;   ///< of the request's text
    Bytes credential; ///< the file of tpm2_makecredential
    Bytes box;

    /// @throws Error(malformed)
    static Sealed parse(std::string_view text);
    std::string text() const;
};

inline constexpr std::string_view sealed_format = "ssh-tpm-sealed-1";

/// @throws Error(usage) for a host that a request cannot have: printable, at most 255 bytes
void require_host(std::string_view host);
/// @throws Error(usage) for a nonce that a request cannot have: ASCII without control characters, at most 128
void require_nonce(std::string_view nonce);

} // namespace sshtpm::attest
