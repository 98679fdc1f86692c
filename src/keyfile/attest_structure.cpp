// SPDX-License-Identifier: MIT
#include "keyfile/attest_structure.hpp"

#include "base/error.hpp"
#include "keyfile/hashes.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"
#include "keyfile/object_name.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

/// @param read a function of tss2-mu
template <class T, class Read>
T read_whole(Read read, ByteView bytes, const std::string& type) {
    T out{};
    std::size_t used = 0;
    if (read(bytes.data(), bytes.size(), &used, &out) != TSS2_RC_SUCCESS)
        malformed("not a " + type);
    if (used != bytes.size())
        malformed("bytes behind the " + type + " (" + std::to_string(bytes.size() - used) + ")");
    return out;
}

/// @param write a function of tss2-mu
template <class T, class Write>
Bytes write_whole(Write write, const T& structure, const std::string& type) {
    Bytes out(sizeof structure); // larger: the C structs have padding and full-size buffers
    std::size_t used = 0;
    if (write(&structure, out.data(), out.size(), &used) != TSS2_RC_SUCCESS)
        malformed("a " + type + " that cannot be marshalled");
    out.resize(used);
    return out;
}

void require_object_name(const TPM2B_NAME& name, const char* place) {
    if (!is_object_name(view_of(name)))
        malformed(std::string("the attestation has no Name by SHA-256, SHA-384 or SHA-512 as its ") + place);
}

void check_certify(const TPMS_CERTIFY_INFO& certify) {
    require_object_name(certify.name, "name");
    require_object_name(certify.qualifiedName, "qualifiedName");
}

void check_quote(const TPMS_QUOTE_INFO& quote) {
    for (const auto& bank : std::span(quote.pcrSelect.pcrSelections).first(quote.pcrSelect.count))
        if (find_hash(bank.hash) == nullptr)
            malformed("the attestation has PCRs of " + algorithm_name(bank.hash) + ", not a hash");
    if (std::ranges::find(hashes, quote.pcrDigest.size, &Hash::digest_size) == hashes.end())
        malformed("the attestation has a digest of " + std::to_string(quote.pcrDigest.size) + " bytes");
}

/// tss2-mu 4.1 refuses other numbers too, but does not say why.
void require_magic_number(ByteView attest) {
    constexpr std::array<std::uint8_t, 4> magic{0xFF, 'T', 'C', 'G'}; // TPM2_GENERATED_VALUE
    if (attest.size() >= magic.size() && !equal(attest.first(magic.size()), magic))
        malformed("an attestation without the magic number of TPMs");
}

void check_attest(const TPMS_ATTEST& attest) {
    require_object_name(attest.qualifiedSigner, "qualifiedSigner");
    if (attest.clockInfo.safe > TPM2_YES)
        malformed("the attestation has a clock that is neither safe nor unsafe");
    switch (attest.type) {
    case TPM2_ST_ATTEST_CERTIFY:
        return check_certify(attest.attested.certify);
    case TPM2_ST_ATTEST_QUOTE:
        return check_quote(attest.attested.quote);
    default:
        unsupported("an attestation of type " + algorithm_name(attest.type) +
                    ", where one of a key or of PCRs is wanted");
    }
}

void check_signature(const TPMT_SIGNATURE& signature) {
    if (signature.sigAlg != TPM2_ALG_ECDSA && signature.sigAlg != TPM2_ALG_RSASSA)
        unsupported("a signature by " + algorithm_name(signature.sigAlg) +
                    ", where ECDSA or RSASSA is wanted");
    if (find_hash(signature.signature.any.hashAlg) == nullptr)
        malformed("a signature with " + algorithm_name(signature.signature.any.hashAlg) + ", not a hash");
    const auto& [hash, r, s] = signature.signature.ecdsa;
    const bool whole = signature.sigAlg == TPM2_ALG_ECDSA ? r.size != 0 && s.size != 0
                                                          : signature.signature.rsassa.sig.size != 0;
    if (!whole)
        malformed("a signature with an empty number");
}

} // namespace

TPMS_ATTEST unmarshal_attest(ByteView bytes) {
    require_magic_number(bytes);
    const auto attest = read_whole<TPMS_ATTEST>(Tss2_MU_TPMS_ATTEST_Unmarshal, bytes, "TPMS_ATTEST");
    check_attest(attest);
    if (!equal(marshal_attest(attest), bytes))
        malformed("a TPMS_ATTEST in another form than TPMs write");
    return attest;
}

Bytes marshal_attest(const TPMS_ATTEST& attest) {
    return write_whole(Tss2_MU_TPMS_ATTEST_Marshal, attest, "TPMS_ATTEST");
}

TPMT_SIGNATURE unmarshal_signature(ByteView bytes) {
    const auto signature =
        read_whole<TPMT_SIGNATURE>(Tss2_MU_TPMT_SIGNATURE_Unmarshal, bytes, "TPMT_SIGNATURE");
    check_signature(signature);
    if (!equal(marshal_signature(signature), bytes))
        malformed("a TPMT_SIGNATURE in another form than TPMs write");
    return signature;
}

Bytes marshal_signature(const TPMT_SIGNATURE& signature) {
    return write_whole(Tss2_MU_TPMT_SIGNATURE_Marshal, signature, "TPMT_SIGNATURE");
}

} // namespace sshtpm::keyfile
