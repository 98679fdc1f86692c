#include "identity/seal.hpp"

#include "identity/sign.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"
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
    Swtpm swtpm;
    tpm::Tpm device{{.tcti = swtpm.tcti(), .emulator_state = {}}};

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
