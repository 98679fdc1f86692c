// SPDX-License-Identifier: MIT
#include "identity/seal.hpp"

#include "identity/sign.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"
#include "tpm/tpm.hpp"

using namespace sshtpm;
using namespace support;

namespace {

ssh::PrivateKey outside_key(const std::string& name) {
    const auto file = Secret::copy_of(data_file("ssh/private/" + name));
    return std::get<ssh::PrivateKey>(ssh::open_private_key(file, nullptr));
}

bool signs(tpm::Tpm& device, const identity::Identity& identity) {
    const auto digest = ssh::digest(ssh::Hash::sha256, {});
    const auto result = identity::sign(device, identity, nullptr, ssh::Hash::sha256, digest);
    const auto* signature = std::get_if<ssh::RawSignature>(&result);
    return signature != nullptr && identity.verifier.verify(ssh::Hash::sha256, digest, *signature);
}

struct SealLab {
    explicit SealLab(std::vector<int> missing_hashes = {}) : log(swtpm.tcti(), std::move(missing_hashes)) {
        device.ensure_open();
    }

    Swtpm swtpm;
    TctiLog log;
    tpm::Tpm device{{.tcti = log.tcti(), .emulator_state = {}}};

    void end() {
        device.keys().flush();
        REQUIRE(swtpm.loaded_handles() == 0);
    }
};

} // namespace

SCENARIO(
    "an outside key of any width is sealed in the TPM, signs there, and has a comment that moves no cursor") {
    SealLab lab;
    for (const auto* const name : {"ecdsa-521.openssh", "short-scalar-256.openssh", "rsa-2048.openssh"}) {
        INFO(name);
        const auto key = outside_key(name);
        const auto sealed = identity::seal(lab.device, key, nullptr, TPM2_RH_OWNER, "a\x1b[2J\n");
        CHECK(sealed.public_key == key.public_key);
        CHECK(sealed.comment == "a?[2J?");
        CHECK_FALSE(sealed.needs_pin());
        CHECK(signs(lab.device, sealed));
    }
    lab.end();
}

SCENARIO("a key that the TPM cannot hold is unsupported, and nothing of it stays there") {
    SealLab lab;
    const auto key = outside_key("rsa-2048-e3.pkcs8");
    CHECK(refusal([&] { identity::seal(lab.device, key, nullptr, TPM2_RH_OWNER, ""); }) == Errc::unsupported);
    lab.end();
}

SCENARIO("a wrapped RSA key that only signs is refused by name on a TPM without SHA-512") {
    SealLab lab({TPM2_ALG_SHA512});
    const auto key = outside_key("rsa-2048.openssh");
    const auto storage_key = tpm::storage_key_area(lab.device, TPM2_RH_OWNER);
    const auto import = [&](tpm::RsaUse use) {
        identity::unwrap(lab.device, identity::wrap_for(storage_key, key, nullptr, TPM2_RH_OWNER, "", use),
                         nullptr, "");
    };
    CHECK_THAT(complaint([&] { import(tpm::RsaUse::sign); }), contains("without the attribute decrypt"));
    CHECK(lab.log.count("TPM2_Import") == 0);
    CHECK_NOTHROW(import(tpm::RsaUse::sign_and_decrypt));
    lab.end();
}
