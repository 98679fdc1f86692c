// SPDX-License-Identifier: MIT
#include "attest/verify.hpp"

#include "attest/evidence.hpp"
#include "base/error.hpp"
#include "identity/convert.hpp"
#include "keyfile/object_name.hpp"
#include "tpm/templates.hpp"

#include <algorithm>

namespace sshtpm::attest {

namespace {

constexpr std::chrono::minutes clock_skew{5};

void require_fresh(const Request& request, const Demands& demands) {
    if (demands.nonce) {
        if (request.nonce.empty() || request.nonce != *demands.nonce)
            refuse(request.nonce.empty() ? "the request was made without a nonce"
                                         : "the request was made for another nonce");
        return;
    }
    const auto made = parse_time(request.made);
    if (!made)
        refuse("the request has no time");
    const auto now =
        std::chrono::floor<std::chrono::seconds>(demands.now); // nanoseconds end in the year 2262
    if (*made > now + clock_skew)
        refuse("the request was made in the future: " + request.made);
    if (*made < now - demands.max_age)
        refuse("the request is too old: it was made at " + request.made,
               "make a new one, or take older ones with --max-age TIME");
}

void require_distinct(const std::vector<CertifiedKey>& keys) {
    for (auto key = keys.begin(); key != keys.end(); ++key)
        if (std::find_if(keys.begin(), key,
                         [&](const CertifiedKey& other) { return other.ssh == key->ssh; }) != key)
            refuse("a key is there twice");
}

/// The line of this endorsement key. A key has a Name for each template of its algorithm, and its certificate
/// does not say which of them the TPM has: a machine must not escape its line by another template.
std::optional<KnownEk> known_of(const TPMT_PUBLIC& ek, const std::vector<KnownEk>& known) {
    const auto name = keyfile::object_name(ek);
    for (const auto& key : tpm::endorsement_keys()) {
        if (key.key_template.publicArea.type != ek.type)
            continue;
        auto other = key.key_template.publicArea;
        other.unique = ek.unique;
        if (const auto* const line = find_ek(known, keyfile::object_name(other))) {
            if (line->name != name)
                refuse("the endorsement key is known by another template: its Name there is " +
                       hex(line->name));
            return *line;
        }
    }
    return std::nullopt;
}

/// @returns the certificate's facts
std::optional<EkCertificate> require_endorsed(const Request& request, const Demands& demands, bool known) {
    if (known)
        return std::nullopt;
    if (request.ek_certificate.empty() || !demands.roots)
        refuse("the endorsement key " + hex(keyfile::object_name(request.ek)) + " is not known" +
                   (request.ek_certificate.empty() ? ", and the TPM has no certificate of it" : ""),
               "a line with this Name in the file of --ek-known makes it known");
    auto certificate = demands.roots->verify(request.ek_certificate, request.chain, demands.eku, demands.now);
    if (certificate.public_key != identity::to_public_key(request.ek))
        refuse("the endorsement key is not that of its certificate");
    return certificate;
}

} // namespace

Proof verify(const Request& request, const Demands& demands) {
    require_fresh(request, demands);
    require_distinct(request.keys);
    if (tpm::endorsement_key_like(request.ek) == nullptr)
        refuse("the endorsement key does not have a template of the TCG");
    Proof proof{.ek_name = keyfile::object_name(request.ek), .ak_name = {}, .certificate = {}, .known = {}};
    proof.known = known_of(request.ek, demands.known);
    proof.certificate = require_endorsed(request, demands, proof.known.has_value());
    proof.fresh = demands.nonce.has_value();
    const auto ak = naming("ak", [&] { return AttestationKey(request.ak); });
    proof.ak_name = ak.name();
    for (std::size_t i = 0; i < request.keys.size(); ++i)
        naming("keys[" + std::to_string(i) + "]", [&] {
            ak.require_certified(request.keys[i], qualifying_data(request, request.keys[i].ssh.blob()));
        });
    return proof;
}

} // namespace sshtpm::attest
