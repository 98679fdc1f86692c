// SPDX-License-Identifier: MIT
// A key file, as PEM or as DER: whatever is taken can be judged, and is the same key when it is written
// and read again.

#include "keyfile/key_file.hpp"

#include "fuzz/target.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/usable.hpp"

#include <tuple>

using namespace sshtpm;
using keyfile::KeyFile;

namespace {

bool same(const KeyFile& a, const KeyFile& b) {
    const auto plain = [](const KeyFile& key) {
        return std::tie(key.kind, key.empty_auth, key.policy, key.secret, key.auth_policies, key.description,
                        key.rsa_parent, key.parent);
    };
    return plain(a) == plain(b) &&
           keyfile::marshal_public(a.public_area) == keyfile::marshal_public(b.public_area) &&
           keyfile::marshal_private(a.private_area) == keyfile::marshal_private(b.private_area);
}

void check_key_file(const KeyFile& key) {
    attempt([&] { keyfile::require_signing_key(key); });
    // Neither of these may throw: what was read can be written, what was written can be read.
    require(same(keyfile::parse_der(keyfile::to_der(key)), key));
    require(same(keyfile::parse_pem(keyfile::to_pem(key)), key));
}

/// The text around the block stays. Refused for several descriptions.
void check_rewritten(const KeyFile& key, std::string_view before) {
    if (const auto after = taken([&] { return keyfile::to_key_file(key, before); }))
        require(same(keyfile::parse_pem(*after), key));
}

} // namespace

FUZZ_TARGET(key_file) {
    if (size > keyfile::max_file_size / 2) // the PEM of a greater DER would be too large to read
        return;
    const ByteView input(data, size);
    const bool der = size > 0 && data[0] == 0x30; // SEQUENCE; no seed in PEM begins with '0'
    const auto key = der ? taken(keyfile::parse_der, input) : taken(keyfile::parse_pem, text_of(input));
    if (!key)
        return;
    check_key_file(*key);
    if (!der)
        check_rewritten(*key, text_of(input));
}
