// SPDX-License-Identifier: MIT
// Public key files: what parses survives being written, and what describe() knows of it can be drawn. The
// same text is taken for a list: describe() knows each key in it.

#include "ssh/authorized_key.hpp"

#include "base/printable.hpp"
#include "fuzz/target.hpp"
#include "ssh/fingerprint.hpp"

#include <algorithm>

using namespace sshtpm;

namespace {

void describe_and_draw(const ssh::AuthorizedKey& key) {
    const auto description = ssh::describe(key.blob);
    for (const auto hash : {ssh::FingerprintHash::sha256, ssh::FingerprintHash::md5}) {
        const auto picture = ssh::randomart(description, hash);
        require(picture.size() == 11 * 20 - 1 && std::ranges::count(picture, '\n') == 10);
        require(is_printable(ssh::fingerprint_line(key.blob, key.comment, hash)));
    }
}

} // namespace

FUZZ_TARGET(authorized_key) {
    for (const auto& listed : ssh::find_keys(text_of({data, size})))
        static_cast<void>(ssh::fingerprint_line(listed.key.blob, listed.shown, {})); // may not throw
    const auto key = taken(ssh::AuthorizedKey::parse, text_of({data, size}));
    if (!key)
        return;
    const auto again = ssh::AuthorizedKey::parse(key->line()); // may not throw
    require(again.type == key->type && again.blob == key->blob && again.comment == key->comment);
    attempt([&] { describe_and_draw(*key); });
}
