// SPDX-License-Identifier: MIT
#include "base/base64.hpp"
#include "private_keys.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using namespace sshtpm::ssh;
using namespace private_keys;
using namespace std::string_literals;
using support::contains;
using support::refusal;

TEST_CASE("keys that a TPM cannot hold or SSH does not have are refused with the reason") {
    const auto [file, words] = GENERATE(table<const char*, const char*>({
        {"refused-ed25519.openssh", "Ed25519"},
        {"refused-ed25519.pkcs8", "Ed25519"},
        {"refused-ed25519.openssh-encrypted", "Ed25519"}, // without asking for the passphrase
        {"refused-dsa.openssh", "a DSA key"},
        {"refused-dsa.pem", "a DSA key"},
        {"refused-dsa.pkcs8", "a DSA key"},
        {"refused-x25519.pkcs8", "X25519"},
        {"refused-token.openssh", "security token"},
        {"refused-secp224r1.pem", "secp224r1"},
        {"refused-secp256k1.pem", "secp256k1"},
        {"refused-brainpoolP256r1.pem", "brainpoolP256r1"},
        {"refused-rsa-1024.openssh", "an RSA key of 1024 bits"},
        {"refused-rsa-2304.openssh", "2304 bits"},
        {"refused-rsa-8192.openssh", "8192 bits"},
        {"refused-rsa-pss.pkcs8", "PSS"},
        {"refused-rsa-three-primes.pkcs8", "more than two primes"},
        {"refused-rsa-unequal-primes.pem", "unequal size"},
        {"refused-rsa-wide-exponent.pkcs8", "more than 32 bits"},
    }));
    CHECK_THAT(complaint_about(file), contains(words));
}

TEST_CASE("an RSA key with an odd exponent that SSH takes is read") {
    CHECK(std::get<RsaNumbers>(opened("rsa-2048-e3.pkcs8").public_key.numbers()).e == Bytes{3});
}

TEST_CASE("halves of different keys are refused") {
    for (const auto* const name : {"refused-halves.openssh", "refused-halves.pem", "refused-halves.pkcs8",
                                   "refused-outer-half.openssh"}) {
        INFO(name);
        CHECK(refusal([&] { open_text(text_of_file(name)); }) == Errc::malformed);
    }
}

TEST_CASE("every prefix of a private key is refused") {
    const auto typed = passphrase();
    for (const auto& container : containers) {
        INFO(container);
        const auto text = text_of_file("ecdsa-256." + container);
        const auto whole = bytes_of(text).first(text.find_last_not_of('\n') + 1);
        const auto parse = [&](ByteView prefix) { open_private_key(Secret::copy_of(prefix), &typed); };
        CHECK(support::accepted_prefixes(whole, parse).empty());
        CHECK_FALSE(refusal(parse, whole));
    }
}

TEST_CASE("a change anywhere in the base64 text of a key is refused or changes nothing that counts") {
    const auto expected = opened("ecdsa-256.openssh");
    const auto typed = passphrase();
    const auto [name, step] = GENERATE(table<const char*, std::size_t>({
        {"ecdsa-256.openssh", 1},
        {"ecdsa-256.pem", 1},
        {"ecdsa-256.pkcs8", 1},
        {"ecdsa-256.openssh-encrypted", 31}, // bcrypt takes its time
        {"ecdsa-256.aes256-gcm", 31},
    }));
    const auto text = text_of_file(name);
    for (auto at = text.find('\n') + 1; at < text.find("\n-----END"); at += step) {
        if (text[at] == '\n')
            continue;
        INFO(name << ", " << at);
        try {
            const auto key = open_private_key(secret(with_change_at(text, at)), &typed);
            if (const auto* taken = std::get_if<PrivateKey>(&key)) {
                CHECK(taken->public_key == expected.public_key);
                CHECK(same_secret(taken->sensitive, expected.sensitive));
            } else {
                CHECK((step > 1 && std::holds_alternative<WrongPassphrase>(key)));
            }
        } catch (const Error& error) {
            CHECK((error.code() == Errc::malformed || error.code() == Errc::unsupported));
        }
    }
}

TEST_CASE("what is no private key is refused, and says what it is") {
    const std::tuple<std::string, Errc, const char*> rows[] = {
        {"", Errc::malformed, "the file is empty"},
        {"\n", Errc::malformed, "the file is empty"},
        {"no key", Errc::malformed, "no private key"},
        {text_of_file("ecdsa-256.pub"), Errc::malformed, "a public key"},
        {support::data_text("keyfile/openssl-ec-p256.pub"), Errc::malformed, "\"PUBLIC KEY\""},
        {support::data_text("keyfile/openssl-ec-p256.tpm"), Errc::malformed, "\"TSS2 PRIVATE KEY\""},
        {text_of_file("refused-der"), Errc::unsupported, "DER"},
        {"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\r\n", Errc::unsupported, "PuTTY"},
        {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", Errc::unsupported, "SSH.com"},
        {"\xFF\xFE-\0-\0"s, Errc::unsupported, "UTF-16"},
        {"\xFE\xFF\0-\0-"s, Errc::unsupported, "UTF-16"},
        {std::string(max_private_key_file + 1, ' '), Errc::malformed, "too large"},
    };
    for (const auto& [text, code, words] : rows)
        CHECK_THAT(text_complaint(text, code), contains(words));
}

TEST_CASE("two private keys in one file are refused before a passphrase is asked for") {
    for (const auto& container : containers)
        for (const auto* const other : {"ecdsa-256.openssh", "ecdsa-256.pem", "refused-ed25519.pkcs8"}) {
            const auto one = text_of_file("ecdsa-256." + container), two = text_of_file(other);
            CHECK(text_complaint(one + two, Errc::malformed) == "two private keys in one file");
            CHECK(text_complaint(two + one, Errc::malformed) == "two private keys in one file");
        }
}

TEST_CASE("a file that asks for hours of bcrypt is refused before it gets them") {
    // "openssh-key-v1" and a zero byte, the strings "aes256-ctr" and "bcrypt", the length of the options, the
    // salt with its length: 15 + 14 + 10 + 4 + 20 bytes, and the rounds behind them.
    const auto text = text_of_file("ecdsa-256.openssh-encrypted");
    const auto start = text.find('\n') + 1;
    const auto stop = text.find("\n-----END");
    std::string base64;
    for (auto at = start; at < stop; ++at)
        if (text[at] != '\n')
            base64 += text[at];
    auto body = base64_decode(base64);
    REQUIRE((body.at(63) == 0 && body.at(64) == 0 && body.at(65) == 0 && body.at(66) == 2));
    body[64] = 1; // 65,538 rounds
    const auto typed = passphrase();
    const auto patient = text.substr(0, start) + base64_encode(body) + text.substr(stop);
    CHECK_THAT(text_complaint(patient, Errc::unsupported), contains("65538 rounds"));
    CHECK(refusal([&] { open_private_key(secret(patient), &typed); }) == Errc::unsupported);
}
