// SPDX-License-Identifier: MIT
#include "parts.hpp"

#include "base/error.hpp"
#include "der/der.hpp"
#include "keyfile/marshal.hpp"
#include "support/test.hpp"

#include <cstdint>
#include <tuple>

using namespace sshtpm;
using namespace support;

namespace keyfile_test {

Bytes element(std::uint8_t tag, ByteView content) {
    const auto high = static_cast<std::uint8_t>(content.size() >> 8U);
    const auto low = static_cast<std::uint8_t>(content.size() & 0xFFU);
    Bytes bytes{tag};
    if (high != 0)
        append(bytes, Bytes{0x82, high});
    else if (low >= 0x80)
        append(bytes, Bytes{0x81});
    bytes.push_back(low);
    append(bytes, content);
    return bytes;
}

Bytes integer(std::string_view hex_digits) {
    return element(0x02, unhex(hex_digits));
}

Bytes octet_string(ByteView content) {
    return element(0x04, content);
}

Bytes operator+(Bytes first, const Bytes& second) {
    append(first, second);
    return first;
}

Bytes Parts::together(const Bytes& more) const {
    return element(0x30, type + optional + parent + pubkey + privkey + more);
}

Parts parts_of_a_key() {
    const auto file = data_file("keyfile/openssl-ec-p256.der");
    der::Reader outer(file);
    auto fields = outer.sequence();
    Parts parts;
    parts.type = element(0x06, fields.object_identifier());
    parts.optional = element(0xA0, fields.explicit_tag(0).rest());
    fields.uint32();
    parts.parent = integer("40000001");
    parts.pubkey = octet_string(fields.octet_string());
    parts.privkey = octet_string(fields.octet_string());
    return parts;
}

std::string der_complaint(ByteView der) {
    return support::complaint(keyfile::parse_der, der);
}

keyfile::KeyFile key_from(std::string_view vector) {
    return keyfile::parse_pem(data_text("keyfile/" + std::string(vector)));
}

bool same(const keyfile::KeyFile& a, const keyfile::KeyFile& b) {
    const auto plain = [](const keyfile::KeyFile& key) {
        return std::tie(key.kind, key.empty_auth, key.policy, key.secret, key.auth_policies, key.description,
                        key.rsa_parent, key.parent);
    };
    return plain(a) == plain(b) &&
           keyfile::marshal_public(a.public_area) == keyfile::marshal_public(b.public_area) &&
           keyfile::marshal_private(a.private_area) == keyfile::marshal_private(b.private_area);
}

} // namespace keyfile_test
