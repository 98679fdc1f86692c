// SPDX-License-Identifier: MIT
#include "attest/report.hpp"

#include "base/printable.hpp"
#include "keyfile/object_name.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/fingerprint.hpp"

#include <boost/json.hpp>

namespace sshtpm::attest {

namespace {

namespace json = boost::json;

json::object described(const CertifiedKey& key) {
    const auto has = [&](TPMA_OBJECT bit) { return (key.area.objectAttributes & bit) != 0; };
    return {{"ssh", ssh::AuthorizedKey::of(key.ssh, "").text()},
            {"fingerprint", ssh::fingerprint(key.ssh.blob(), ssh::FingerprintHash::sha256)},
            {"name", hex(keyfile::object_name(key.area))},
            {"no_da", has(TPMA_OBJECT_NODA)},
            {"user_with_auth", has(TPMA_OBJECT_USERWITHAUTH)},
            {"policy", key.area.authPolicy.size != 0}};
}

} // namespace

std::string report_line(const std::string& file, const Request& request, const Proof& proof) {
    json::array principals, keys;
    if (proof.known)
        for (const auto& principal : proof.known->principals)
            principals.emplace_back(principal);
    for (const auto& key : request.keys)
        keys.emplace_back(described(key));
    const auto fact = [&](std::string EkCertificate::*text) {
        return proof.certificate ? (*proof.certificate).*text : "";
    };
    return json::serialize(json::object{{"file", printable(file, file.size())},
                                        {"status", "verified"},
                                        {"error", ""},
                                        {"host", request.host},
                                        {"made", request.made},
                                        {"fresh", proof.fresh},
                                        {"ek", hex(proof.ek_name)},
                                        {"ak", hex(proof.ak_name)},
                                        {"manufacturer", fact(&EkCertificate::manufacturer)},
                                        {"model", fact(&EkCertificate::model)},
                                        {"version", fact(&EkCertificate::version)},
                                        {"root", fact(&EkCertificate::root)},
                                        {"known", proof.known.has_value()},
                                        {"principals", std::move(principals)},
                                        {"keys", std::move(keys)}}) +
           '\n';
}

std::string report_line(const std::string& file, const Error& error) {
    std::string_view reason = error.what();
    if (reason.starts_with(file + ": "))
        reason.remove_prefix(file.size() + 2);
    return json::serialize(json::object{{"file", printable(file, file.size())},
                                        {"status", "refused"},
                                        {"error", printable(reason, 1000)}}) +
           '\n';
}

} // namespace sshtpm::attest
