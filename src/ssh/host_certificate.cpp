#include "ssh/host_certificate.hpp"

#include "base/error.hpp"
#include "ssh/certificate.hpp"
#include "ssh/key_blob.hpp"
#include "ssh/pattern.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <optional>

namespace sshtpm::ssh {

namespace {

std::optional<CertificateBlob> parsed(ByteView blob) {
    try { // what does not parse is no certificate, as the header says
        return read_certificate(blob);
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool valid_at(const CertificateTerms& terms, std::chrono::system_clock::time_point now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    if (seconds < 0)
        return false;
    const auto time = static_cast<std::uint64_t>(seconds);
    return time >= terms.valid_after && time < terms.valid_before;
}

/// PROTOCOL.certkeys: the signature is the last field, over all that stands in front of it.
bool signed_by_authority(ByteView blob, const CertificateTerms& terms) {
    constexpr std::size_t length_field = 4;
    const auto body = blob.first(blob.size() - terms.signature.size() - length_field);
    return verify_signature(terms.signature_key, terms.signature, body);
}

} // namespace

bool is_certificate(ByteView blob) {
    wire::Reader reader(blob);
    try { // as above
        return key_format_of_certificate(reader.text()) != nullptr;
    } catch (const Error&) {
        return false;
    }
}

bool certifies_host(ByteView certificate, ByteView authority, std::string_view host,
                    std::chrono::system_clock::time_point now) {
    const auto blob = parsed(certificate);
    if (!blob)
        return false;
    const auto& terms = blob->terms;
    const auto names_host = [&](std::string_view principal) { return match_pattern(host, principal); };
    return equal(terms.signature_key, authority) &&
           terms.role == static_cast<std::uint32_t>(Certificate::Role::host) && valid_at(terms, now) &&
           !terms.has_critical_options && std::ranges::any_of(terms.principals, names_host) &&
           signed_by_authority(certificate, terms);
}

} // namespace sshtpm::ssh
