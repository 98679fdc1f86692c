#include "identity/hierarchy.hpp"

#include "identity/sign.hpp"
#include "keyfile/key_file.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"
#include "tpm/device.hpp"

using namespace sshtpm;
using namespace support;

namespace {

struct Lab {
    Swtpm swtpm;
    tpm::Device device{{.tcti = swtpm.tcti(), .emulator_state = {}}};

    void end() {
        device.keys().flush();
        CHECK(swtpm.loaded_handles() == 0);
    }
};

bool signs(tpm::Device& device, const identity::Identity& identity, ssh::Hash hash) {
    const auto digest = ssh::digest(hash, Bytes{1});
    const auto result = identity::sign(device, identity, nullptr, hash, digest);
    const auto* signature = std::get_if<ssh::RawSignature>(&result);
    return signature != nullptr && identity.verifier.verify(hash, digest, *signature);
}

} // namespace

SCENARIO("a hierarchy gives an ECDSA and an RSA key, which sign what SSH asks of them") {
    Lab lab;
    for (const auto& hierarchy : tpm::hierarchies) {
        const auto keys = identity::hierarchy_identities(lab.device, hierarchy);
        REQUIRE(keys.size() == 2);
        const auto name = std::string(hierarchy.name);
        CHECK(keys[0].public_key.type() == ssh::KeyType::ecdsa_p256);
        CHECK(keys[0].comment == name + " ecdsa host key");
        CHECK(keys[1].public_key.type() == ssh::KeyType::rsa);
        CHECK(keys[1].public_key.bits() == 2048);
        CHECK(keys[1].comment == name + " rsa host key");
        for (const auto& key : keys)
            CHECK_FALSE(key.needs_pin());
        CHECK(signs(lab.device, keys[0], ssh::Hash::sha256));
        CHECK(signs(lab.device, keys[1], ssh::Hash::sha256));
        CHECK(signs(lab.device, keys[1], ssh::Hash::sha512));
    }
    lab.end();
}

SCENARIO("the keys are the same in each run and another TPM's are others") {
    Lab here, there;
    const auto& endorsement = tpm::hierarchies[1];
    const auto keys = identity::hierarchy_identities(here.device, endorsement);
    here.end();
    here.swtpm.stop();
    here.swtpm.start();
    tpm::Device later({.tcti = here.swtpm.tcti(), .emulator_state = {}});
    const auto again = identity::hierarchy_identities(later, endorsement);
    const auto others = identity::hierarchy_identities(there.device, endorsement);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        CHECK(keys[i].public_key == again[i].public_key);
        CHECK_FALSE(keys[i].public_key == others[i].public_key);
    }
    there.end();
}

SCENARIO("no file is written of such a key") {
    Lab lab;
    const auto keys = identity::hierarchy_identities(lab.device, tpm::hierarchies[0]);
    CHECK(refusal([&] { keyfile::to_key_file(*keys[0].key); }) == Errc::unsupported);
    lab.end();
}
