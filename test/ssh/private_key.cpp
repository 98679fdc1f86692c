// SPDX-License-Identifier: MIT
#include "private_keys.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using namespace sshtpm::ssh;
using namespace private_keys;
using support::contains;
using support::refusal;

TEST_CASE("every container of every type gives the numbers that openssl gives, short ones in their width") {
    const auto expected = numbers();
    const auto check = [&](const std::string& name, const std::string& container) {
        INFO(name << '.' << container);
        const auto key = opened(name + '.' + container);
        CHECK(key.public_key == public_key(name));
        CHECK(equal(key.sensitive.view(), expected.at(name))); // in all its width
    };
    for (const auto& name : keys)
        for (const auto& container : containers)
            check(name, container);
    for (const std::string bits : {"256", "384", "521"}) {
        for (const std::string what : {"scalar", "x", "y"})
            for (const auto* const container : {"openssh", "pem"})
                check("short-" + what + '-' + bits, container);
        const auto& scalar = expected.at("short-scalar-" + bits);
        CHECK(scalar.size() == (std::stoul(bits) + 7) / 8);
        CHECK(scalar[bits == "521" ? 1 : 0] == 0);
    }
}

TEST_CASE("the comment of an OpenSSH key is kept, encrypted or not") {
    CHECK(opened("ecdsa-256.openssh").comment == "ecdsa of 256 bits");
    CHECK(opened("rsa-3072.openssh").comment == "rsa of 3072 bits");
    CHECK(opened("ecdsa-256.openssh-encrypted").comment == "ecdsa of 256 bits");
    CHECK(opened("rsa-4096.openssh-encrypted").comment == "rsa of 4096 bits");
    CHECK(opened("ecdsa-256.pem").comment.empty());
}

TEST_CASE("an encrypted key asks for its passphrase and takes no other") {
    for (const auto* const name : {"ecdsa-256", "rsa-2048"})
        for (const auto& container : containers) {
            INFO(name << '.' << container);
            const auto text = text_of_file(std::string(name) + '.' + container);
            CHECK(std::holds_alternative<NeedsPassphrase>(open_text(text)) == is_encrypted(container));
            for (const auto* const wrong : {"", "correct hors", "correct horse ", "Correct horse"})
                CHECK(std::holds_alternative<WrongPassphrase>(open_text(text, wrong)) ==
                      is_encrypted(container));
            CHECK(std::holds_alternative<PrivateKey>(open_text(text, "correct horse")));
        }
}

TEST_CASE("a wrong passphrase is never taken for a damaged file") {
    // One in 256 leaves right padding behind, and then it is the structure that does not parse: so do all of
    // these but 0.
    const std::map<std::string, std::vector<int>> tried{{"pem-encrypted", {0, 622, 732, 992, 1150, 1224}},
                                                        {"pkcs8-encrypted", {0, 54, 446, 487, 1129, 1134}}};
    for (const auto& [container, numbers_tried] : tried)
        for (const int number : numbers_tried) {
            INFO(container << ", " << number);
            CHECK(std::holds_alternative<WrongPassphrase>(
                open_text(text_of_file("ecdsa-256." + container), "wrong " + std::to_string(number))));
        }
}

TEST_CASE("passphrases that C strings and small buffers could cut are wrong, not right") {
    using namespace std::string_view_literals;
    for (const auto* const container : {"openssh-encrypted", "pem-encrypted", "pkcs8-encrypted"}) {
        const auto text = text_of_file(std::string("ecdsa-256.") + container);
        // The key of an HMAC, as PBKDF2 uses it, is the same with zero bytes behind it (RFC 2104).
        if (container != "pkcs8-encrypted"sv)
            CHECK(std::holds_alternative<WrongPassphrase>(open_text(text, "correct horse\0"sv)));
        CHECK(std::holds_alternative<WrongPassphrase>(open_text(text, "correct horse\0x"sv)));
        CHECK(std::holds_alternative<WrongPassphrase>(open_text(text, std::string(2000, 'x'))));
    }
}

TEST_CASE("the ciphers of ssh-keygen and openssl are read, or refused by name") {
    const auto expected = numbers().at("ecdsa-256");
    for (const auto* const cipher :
         {"aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-ctr", "aes192-ctr", "3des-cbc", "aes256-gcm",
          "pem-des3", "pkcs8-scrypt", "pkcs8-3des", "ecparam", "no-public", "explicit"}) {
        INFO(cipher);
        CHECK(equal(opened(std::string("ecdsa-256.") + cipher).sensitive.view(), expected));
    }
    CHECK_THAT(complaint_about("ecdsa-256.chacha20-poly1305"), contains("chacha20-poly1305@openssh.com"));
    // OpenSSL 3 has single DES in its legacy provider alone, which is not loaded.
    for (const auto* const legacy : {"pem-des", "pkcs8-des"}) {
        const auto text = text_of_file(std::string("ecdsa-256.") + legacy);
        CHECK(refusal([&] { open_text(text, "correct horse"); }) == Errc::unsupported);
    }
}

TEST_CASE("line ends of other systems and text around the block do no harm") {
    for (const auto& container : containers) {
        INFO(container);
        const auto text = text_of_file("ecdsa-256." + container);
        std::string crlf;
        for (const char c : text)
            crlf += c == '\n' ? "\r\n" : std::string(1, c);
        const auto typed = passphrase();
        CHECK(std::holds_alternative<PrivateKey>(open_private_key(secret(crlf), &typed)));
        const auto pub = support::data_text("keyfile/openssl-ec-p256.pub"); // "PUBLIC KEY"
        for (const auto& around : {"a note\n" + text + "\n\n", "\xEF\xBB\xBF" + text, pub + text, text + pub})
            CHECK(std::holds_alternative<PrivateKey>(open_private_key(secret(around), &typed)));
    }
}
