// Public key files: what parses survives being written, and what describe() knows of it can be drawn.

#include "ssh/authorized_key.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "fuzz/target.hpp"
#include "ssh/randomart.hpp"

#include <algorithm>
#include <cstdlib>

using namespace sshtpm;

namespace {

void describe_and_draw(const ssh::AuthorizedKey& key) {
    const auto description = ssh::describe(key.blob);
    for (const auto hash : {ssh::FingerprintHash::sha256, ssh::FingerprintHash::md5}) {
        const auto picture = ssh::randomart(description, hash);
        if (picture.size() != 11 * 20 - 1 || std::ranges::count(picture, '\n') != 10)
            std::abort();
        if (!is_printable(ssh::fingerprint_line(key.blob, key.comment, hash)))
            std::abort();
    }
}

} // namespace

FUZZ_TARGET(authorized_key) {
    std::optional<ssh::AuthorizedKey> key;
    try {
        key = ssh::AuthorizedKey::parse(text_of({data, size}));
    } catch (const Error&) {
        return;
    }
    const auto again = ssh::AuthorizedKey::parse(key->line()); // may not throw
    if (again.type != key->type || again.blob != key->blob || again.comment != key->comment)
        std::abort();
    try {
        describe_and_draw(*key);
    } catch (const Error&) {
    }
}
