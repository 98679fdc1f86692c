// SPDX-License-Identifier: MIT
#pragma once
// A key file taken apart, to be put together again wrongly on purpose.

#include "base/bytes.hpp"
#include "keyfile/key_file.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace keyfile_test {

/// One DER element.
sshtpm::Bytes element(std::uint8_t tag, sshtpm::ByteView content);
sshtpm::Bytes integer(std::string_view hex_digits);
sshtpm::Bytes octet_string(sshtpm::ByteView content);

sshtpm::Bytes operator+(sshtpm::Bytes first, const sshtpm::Bytes& second);

/// The elements of TPMKey, each with its tag and length; `optional` holds those of [0] to [5].
struct Parts {
    sshtpm::Bytes type, optional, parent, pubkey, privkey;

    /// The SEQUENCE of them, and `more` behind the last.
    sshtpm::Bytes together(const sshtpm::Bytes& more = {}) const;
};

/// Those of openssl-ec-p256.der.
Parts parts_of_a_key();

/// What parse_der says of it: "" when it takes it.
std::string der_complaint(sshtpm::ByteView der);

sshtpm::keyfile::KeyFile key_from(std::string_view vector);

/// Field by field, the areas as they are marshalled.
bool same(const sshtpm::keyfile::KeyFile& a, const sshtpm::keyfile::KeyFile& b);

} // namespace keyfile_test
