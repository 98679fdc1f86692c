// SPDX-License-Identifier: MIT
#include "ssh/algorithm.hpp"

#include "support/catch.hpp"

#include <cstdint>

using namespace sshtpm::ssh;

TEST_CASE("the table knows each key type by its names") {
    for (const auto type : {KeyType::ecdsa_p256, KeyType::ecdsa_p384, KeyType::ecdsa_p521, KeyType::rsa}) {
        CHECK(info(type).type == type);
        CHECK(key_type_named(info(type).name) == type);
        CHECK(key_type_of_certificate(info(type).certificate_name) == type);
        CHECK(info(type).certificate_name == std::string(info(type).name) + "-cert-v01@openssh.com");
    }
}

TEST_CASE("names of other keys, and names of the wrong kind, are not in the table") {
    for (const auto* name : {"", "ssh-ed25519", "ssh-dss", "rsa-sha2-256", "ECDSA-SHA2-NISTP256", "ssh-rsa ",
                             "ssh-rsa-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"})
        CHECK_FALSE(key_type_named(name));
    for (const auto* name :
         {"", "ssh-rsa", "rsa-sha2-256-cert-v01@openssh.com", "ssh-ed25519-cert-v01@openssh.com"})
        CHECK_FALSE(key_type_of_certificate(name));
}

TEST_CASE("an ECDSA key signs with its own algorithm, whatever the flags") {
    for (const std::uint32_t flags : {0U, 2U, 4U, 6U, 0xffffffffU}) {
        CHECK(choose_algorithm(KeyType::ecdsa_p256, flags) ==
              SignatureAlgorithm{"ecdsa-sha2-nistp256", Hash::sha256});
        CHECK(choose_algorithm(KeyType::ecdsa_p384, flags) ==
              SignatureAlgorithm{"ecdsa-sha2-nistp384", Hash::sha384});
        CHECK(choose_algorithm(KeyType::ecdsa_p521, flags) ==
              SignatureAlgorithm{"ecdsa-sha2-nistp521", Hash::sha512});
    }
}

TEST_CASE("an RSA key signs with the SHA-2 that the flags ask for") {
    const SignatureAlgorithm sha256{"rsa-sha2-256", Hash::sha256, SSH_AGENT_RSA_SHA2_256};
    const SignatureAlgorithm sha512{"rsa-sha2-512", Hash::sha512, SSH_AGENT_RSA_SHA2_512};
    CHECK(choose_algorithm(KeyType::rsa, SSH_AGENT_RSA_SHA2_256) == sha256);
    CHECK(choose_algorithm(KeyType::rsa, SSH_AGENT_RSA_SHA2_512) == sha512);
    CHECK(choose_algorithm(KeyType::rsa, SSH_AGENT_RSA_SHA2_256 | SSH_AGENT_RSA_SHA2_512) == sha256);
    CHECK(choose_algorithm(KeyType::rsa, 0xfffffff8U | SSH_AGENT_RSA_SHA2_512) == sha512);
}

TEST_CASE("each algorithm of a key is chosen by its own flag") {
    for (const auto type : {KeyType::ecdsa_p256, KeyType::ecdsa_p384, KeyType::ecdsa_p521, KeyType::rsa}) {
        CHECK(algorithms_of(type).size() == (type == KeyType::rsa ? 2 : 1));
        for (const auto& algorithm : algorithms_of(type))
            CHECK(choose_algorithm(type, algorithm.flag) == algorithm);
    }
    CHECK(algorithms_of(KeyType::rsa).front().name == "rsa-sha2-512"); // as in OpenSSH's myproposal.h
}

TEST_CASE("an RSA key does not sign with SHA-1") {
    CHECK_FALSE(choose_algorithm(KeyType::rsa, 0));
    CHECK_FALSE(choose_algorithm(KeyType::rsa, 1));
    CHECK_FALSE(choose_algorithm(KeyType::rsa, 0xfffffff8U));
}
