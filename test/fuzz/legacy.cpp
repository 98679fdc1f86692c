// SPDX-License-Identifier: MIT
// A key file of ssh-tpm-agent 0.1 or 0.2: its PEM text, or '1' or '2' for the release and the content of the
// block, which a fuzzer changes more easily than base64.

#include "base/pem.hpp"
#include "fuzz/target.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/usable.hpp"

#include <tuple>

using namespace sshtpm;
using keyfile::KeyFile;

namespace {

bool same_key(const KeyFile& a, const KeyFile& b) {
    const auto plain = [](const KeyFile& key) {
        return std::tie(key.legacy, key.kind, key.empty_auth, key.description, key.rsa_parent, key.parent);
    };
    return plain(a) == plain(b) &&
           keyfile::marshal_public(a.public_area) == keyfile::marshal_public(b.public_area) &&
           keyfile::marshal_private(a.private_area) == keyfile::marshal_private(b.private_area);
}

std::string text_for(ByteView input) {
    if (!input.empty() && input[0] == '1')
        return encode_pem(input.subspan(1), "TPM EC PRIVATE KEY");
    if (!input.empty() && input[0] == '2')
        return encode_pem(input.subspan(1), "TPM PRIVATE KEY");
    return std::string(text_of(input));
}

} // namespace

FUZZ_TARGET(legacy) {
    if (size > keyfile::max_file_size / 2) // the PEM of a greater content would be too large to read
        return;
    const auto text = text_for({data, size});
    const auto key = taken(keyfile::parse_key_file, text);
    if (!key)
        return;
    require((key->legacy != keyfile::Legacy::none) == keyfile::is_legacy(text));
    attempt([&] { keyfile::require_signing_key(*key); });
    // This may not throw: what was read can be written, what was written can be read.
    require(same_key(keyfile::parse_key_file(keyfile::to_key_file(*key)), *key));
}
