#include "base/password_hash.hpp"

#include "base/error.hpp"

#include <sodium.h>

namespace sshtpm {

namespace {

/// libsodium wants a pointer, of an empty password too.
std::string_view text_to_hash(ByteView password) {
    return password.empty() ? std::string_view("") : text_of(password);
}

} // namespace

PasswordHash::PasswordHash(ByteView password, Cost cost) {
    static_assert(sizeof(text_) == crypto_pwhash_STRBYTES);
    if (sodium_init() < 0)
        throw Error(Errc::io, "libsodium did not start");
    const auto text = text_to_hash(password);
    const bool least = cost == Cost::least;
    if (crypto_pwhash_str(text_.data(), text.data(), text.size(),
                          least ? crypto_pwhash_OPSLIMIT_MIN : crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          least ? crypto_pwhash_MEMLIMIT_MIN : crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        throw Error(Errc::io, "no memory to hash a password (64 MiB)");
}

bool PasswordHash::matches(ByteView password) const {
    const auto text = text_to_hash(password);
    return crypto_pwhash_str_verify(text_.data(), text.data(), text.size()) == 0;
}

} // namespace sshtpm
