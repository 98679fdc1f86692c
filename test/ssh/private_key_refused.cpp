#include "base/base64.hpp"
#include "private_keys.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using namespace sshtpm::ssh;
using namespace private_keys;
using support::contains;
using support::refusal;

TEST_CASE("key types that a TPM or SSH does not have are refused with the reason") {
    for (const auto* const name : {"refused-ed25519.openssh", "refused-ed25519.pkcs8",
                                   "refused-ed25519.openssh-encrypted"}) // without asking for the passphrase
        CHECK_THAT(complaint_about(name), contains("Ed25519"));
    for (const auto* const name : {"refused-dsa.openssh", "refused-dsa.pem", "refused-dsa.pkcs8"})
        CHECK_THAT(complaint_about(name), contains("a DSA key"));
    CHECK_THAT(complaint_about("refused-x25519.pkcs8"), contains("X25519"));
    CHECK_THAT(complaint_about("refused-token.openssh"), contains("security token"));
    CHECK_THAT(complaint_about("refused-secp224r1.pem"), contains("secp224r1"));
    CHECK_THAT(complaint_about("refused-secp256k1.pem"), contains("secp256k1"));
    CHECK_THAT(complaint_about("refused-brainpoolP256r1.pem"), contains("brainpoolP256r1"));
}

TEST_CASE("RSA keys that a TPM cannot hold are refused with the reason") {
    CHECK_THAT(complaint_about("refused-rsa-1024.openssh"), contains("an RSA key of 1024 bits"));
    CHECK_THAT(complaint_about("refused-rsa-2304.openssh"), contains("2304 bits"));
    CHECK_THAT(complaint_about("refused-rsa-8192.openssh"), contains("8192 bits"));
    CHECK_THAT(complaint_about("refused-rsa-pss.pkcs8"), contains("PSS"));
    CHECK_THAT(complaint_about("refused-rsa-three-primes.pkcs8"), contains("more than two primes"));
    CHECK_THAT(complaint_about("refused-rsa-unequal-primes.pem"), contains("unequal size"));
    CHECK_THAT(complaint_about("refused-rsa-wide-exponent.pkcs8"), contains("more than 32 bits"));
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

TEST_CASE("a change anywhere in the base64 text of an unencrypted key is refused or changes nothing") {
    const auto expected = opened("ecdsa-256.openssh");
    for (const auto* const name : {"ecdsa-256.openssh", "ecdsa-256.pem", "ecdsa-256.pkcs8"}) {
        const auto text = text_of_file(name);
        for (auto at = text.find('\n') + 1; at < text.find("\n-----END"); ++at) {
            if (text[at] == '\n')
                continue;
            INFO(name << ", " << at);
            try {
                const auto key = std::get<PrivateKey>(open_text(with_change_at(text, at)));
                CHECK(key.public_key == expected.public_key);
                CHECK(same_secret(key.sensitive, expected.sensitive));
            } catch (const Error& error) {
                CHECK((error.code() == Errc::malformed || error.code() == Errc::unsupported));
            }
        }
    }
}

TEST_CASE("what is no private key is refused, and says what it is") {
    CHECK_THAT(complaint("", Errc::malformed), contains("no private key"));
    CHECK_THAT(complaint("\n", Errc::malformed), contains("no private key"));
    CHECK_THAT(complaint("no key", Errc::malformed), contains("no private key"));
    CHECK_THAT(complaint(text_of_file("ecdsa-256.pub"), Errc::malformed), contains("a public key"));
    CHECK_THAT(complaint(support::data_text("keyfile/openssl-ec-p256.pub"), Errc::malformed),
               contains("\"PUBLIC KEY\""));
    CHECK_THAT(complaint(support::data_text("keyfile/openssl-ec-p256.tpm"), Errc::malformed),
               contains("\"TSS2 PRIVATE KEY\""));
    CHECK_THAT(complaint(text_of_file("refused-der"), Errc::unsupported), contains("DER"));
    CHECK_THAT(complaint("PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\r\n", Errc::unsupported),
               contains("PuTTY"));
    CHECK_THAT(complaint("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", Errc::unsupported),
               contains("SSH.com"));
    CHECK_THAT(complaint(std::string(max_private_key_file + 1, ' '), Errc::malformed), contains("too large"));
}

TEST_CASE("a change anywhere in an encrypted OpenSSH key is refused or changes nothing that counts") {
    const auto expected = opened("ecdsa-256.openssh");
    const auto typed = passphrase();
    for (const auto* const name : {"ecdsa-256.openssh-encrypted", "ecdsa-256.aes256-gcm"}) {
        const auto text = text_of_file(name);
        for (auto at = text.find('\n') + 1; at < text.find("\n-----END"); at += 31) {
            if (text[at] == '\n')
                continue;
            INFO(name << ", " << at);
            try {
                const auto key = open_private_key(secret(with_change_at(text, at)), &typed);
                if (const auto* taken = std::get_if<PrivateKey>(&key)) {
                    CHECK(taken->public_key == expected.public_key);
                    CHECK(same_secret(taken->sensitive, expected.sensitive));
                } else {
                    CHECK(std::holds_alternative<WrongPassphrase>(key));
                }
            } catch (const Error& error) {
                CHECK((error.code() == Errc::malformed || error.code() == Errc::unsupported));
            }
        }
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
    CHECK_THAT(complaint(patient, Errc::unsupported), contains("65538 rounds"));
    CHECK(refusal([&] { open_private_key(secret(patient), &typed); }) == Errc::unsupported);
}
