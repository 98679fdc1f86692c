// SPDX-License-Identifier: MIT
#include "attest/certified_key.hpp"

#include "attest/members.hpp"
#include "base/base64.hpp"
#include "base/error.hpp"
#include "keyfile/attest_structure.hpp"
#include "keyfile/marshal.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/digest.hpp"

#include <algorithm>

namespace sshtpm::attest {

namespace {

namespace json = boost::json;

ssh::PublicKey ssh_member(const json::object& object) {
    const auto line = text_member(object, "ssh");
    return naming("ssh",
                  [&] { return ssh::PublicKey::from_blob(ssh::AuthorizedKey::parse_only_line(line).blob); });
}

CertifiedKey certified_key(const json::value& value) {
    if (!value.is_object())
        malformed("a key is not an object");
    const auto& object = value.get_object();
    const auto signature = bytes_member(object, "sig");
    return {.ssh = ssh_member(object),
            .area = public_member(object),
            .attest = bytes_member(object, "certInfo"),
            .signature = naming("sig", [&] { return keyfile::unmarshal_signature(signature); })};
}

json::object to_json(const CertifiedKey& key) {
    return {{"ssh", ssh::AuthorizedKey::of(key.ssh, "").text()},
            {"public", base64_encode(keyfile::marshal_public(key.area))},
            {"certInfo", base64_encode(key.attest)},
            {"sig", base64_encode(keyfile::marshal_signature(key.signature))}};
}

} // namespace

Digest sha256(ByteView data) {
    Digest out{};
    std::ranges::copy(ssh::digest(ssh::Hash::sha256, data), out.begin());
    return out;
}

TPMT_PUBLIC public_member(const json::object& object) {
    const auto bytes = bytes_member(object, "public");
    return naming("public", [&] { return keyfile::unmarshal_public(bytes); });
}

std::vector<CertifiedKey> certified_keys(const json::object& object) {
    const auto& values = array_member(object, "keys");
    if (values.empty() || values.size() > max_keys)
        malformed("\"keys\" has 1 to " + std::to_string(max_keys) + " keys");
    std::vector<CertifiedKey> keys;
    for (std::size_t i = 0; i < values.size(); ++i)
        keys.push_back(naming("keys[" + std::to_string(i) + "]", [&] { return certified_key(values[i]); }));
    return keys;
}

json::array to_json(const std::vector<CertifiedKey>& keys) {
    json::array values;
    for (const auto& key : keys)
        values.emplace_back(to_json(key));
    return values;
}

} // namespace sshtpm::attest
