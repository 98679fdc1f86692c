// SPDX-License-Identifier: MIT
#pragma once
// The private keys of test/data/ssh/private, and what tests do with them; the README.md there says who made
// them.

#include "base/error.hpp"
#include "ssh/private_key.hpp"
#include "ssh/vectors.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/hex.hpp"
#include "support/refusal.hpp"

#include <map>

namespace private_keys {

using namespace sshtpm;
using namespace sshtpm::ssh;

inline const std::vector<std::string> containers{"openssh", "openssh-encrypted", "pem", "pem-encrypted",
                                                 "pkcs8",   "pkcs8-encrypted"};
inline const std::vector<std::string> keys{"ecdsa-256", "ecdsa-384", "ecdsa-521",
                                           "rsa-2048",  "rsa-3072",  "rsa-4096"};

inline Secret secret(std::string_view text) {
    return Secret::copy_of(bytes_of(text));
}

inline Secret passphrase() {
    return secret("correct horse");
}

inline std::string text_of_file(const std::string& name) {
    return support::data_text("ssh/private/" + name);
}

inline OpenedKey open_text(std::string_view text) {
    return open_private_key(secret(text), nullptr);
}

inline OpenedKey open_text(std::string_view text, std::string_view password) {
    const auto typed = secret(password);
    return open_private_key(secret(text), &typed);
}

inline PrivateKey opened(const std::string& name) {
    const auto typed = passphrase();
    return std::get<PrivateKey>(open_private_key(secret(text_of_file(name)), &typed));
}

inline PublicKey public_key(const std::string& name) {
    return vectors::key("private/" + name);
}

/// The scalars and primes as openssl prints them.
inline std::map<std::string, Bytes> numbers() {
    std::map<std::string, Bytes> out;
    for (const auto& line : vectors::lines("private/numbers.txt")) {
        const auto words = vectors::words(line);
        out[words.at(0)] = support::unhex(words.at(1));
    }
    return out;
}

inline bool is_encrypted(const std::string& container) {
    return container.ends_with("-encrypted");
}

inline std::string text_complaint(const std::string& text, Errc code) {
    const auto open = [&] { open_text(text); };
    CHECK(support::refusal(open).value_or(code) == code);
    return support::complaint(open);
}

inline std::string complaint_about(const std::string& name) {
    return text_complaint(text_of_file(name), Errc::unsupported);
}

/// A character of the base64 text changed into another one of the alphabet.
inline std::string with_change_at(std::string text, std::size_t at) {
    text[at] = text[at] == 'A' ? 'B' : 'A';
    return text;
}

} // namespace private_keys
