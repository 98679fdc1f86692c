#include "identity/seal.hpp"

#include "base/error.hpp"
#include "identity/sign.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"
#include "tpm/device.hpp"
#include "tpm/import.hpp"

using namespace sshtpm;
using namespace support;

namespace {

ssh::PrivateKey outside_key(const std::string& name) {
    const auto file = Secret::copy_of(data_file("ssh/private/" + name));
    return std::get<ssh::PrivateKey>(ssh::open_private_key(file, nullptr));
}

tpm::Auth auth_of(std::string_view pin) {
    return std::make_shared<const Secret>(Secret::copy_of(bytes_of(pin)));
}

identity::SignResult sign(tpm::Device& device, const identity::Identity& identity, const tpm::Auth& auth) {
    return identity::sign(device, identity, auth, ssh::Hash::sha256, ssh::digest(ssh::Hash::sha256, {}));
}

bool signs(tpm::Device& device, const identity::Identity& identity, const tpm::Auth& auth) {
    const auto result = sign(device, identity, auth);
    const auto* signature = std::get_if<ssh::RawSignature>(&result);
    return signature != nullptr &&
           identity.verifier.verify(ssh::Hash::sha256, ssh::digest(ssh::Hash::sha256, {}), *signature);
}

struct SealLab {
    Swtpm swtpm;
    tpm::Device device{{.tcti = swtpm.tcti(), .emulator_state = {}}};
};

} // namespace

SCENARIO("an outside key is sealed in the TPM and signs there") {
    SealLab lab;
    for (const auto* const name : {"ecdsa-256.openssh", "ecdsa-384.openssh", "ecdsa-521.openssh",
                                   "short-scalar-256.openssh", "rsa-2048.openssh"}) {
        INFO(name);
        const auto key = outside_key(name);
        const auto sealed = identity::seal(lab.device, key, nullptr, TPM2_RH_OWNER, "a comment");
        CHECK(sealed.public_key == key.public_key);
        CHECK(sealed.comment == "a comment");
        CHECK(sealed.key->description == "a comment");
        CHECK(sealed.key->kind == keyfile::KeyKind::loadable);
        CHECK(sealed.file.empty());
        CHECK_FALSE(sealed.certificate);
        CHECK_FALSE(sealed.needs_pin());
        CHECK(signs(lab.device, sealed, nullptr));
    }
    lab.device.keys().flush();
    REQUIRE(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("a sealed key has the PIN that it was sealed with") {
    SealLab lab;
    const auto sealed =
        identity::seal(lab.device, outside_key("ecdsa-256.openssh"), auth_of("a pin"), TPM2_RH_OWNER, "");
    CHECK(sealed.needs_pin());
    CHECK(sealed.comment.empty());
    CHECK(signs(lab.device, sealed, auth_of("a pin")));
    CHECK(std::holds_alternative<tpm::WrongAuth>(sign(lab.device, sealed, auth_of("another"))));
    lab.device.keys().flush();
    REQUIRE(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("a comment that could move a cursor is printable in the identity") {
    SealLab lab;
    const auto sealed =
        identity::seal(lab.device, outside_key("ecdsa-256.openssh"), nullptr, TPM2_RH_OWNER, "a\x1b[2J\n");
    CHECK(sealed.comment == "a?[2J?");
    lab.device.keys().flush();
    REQUIRE(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("a key that the TPM cannot hold is unsupported, and nothing of it stays there") {
    SealLab lab;
    for (const auto* const name : {"rsa-4096.openssh", "rsa-2048-e3.pkcs8"}) {
        INFO(name);
        const auto key = outside_key(name);
        CHECK(refusal([&] { identity::seal(lab.device, key, nullptr, TPM2_RH_OWNER, ""); }) ==
              Errc::unsupported);
    }
    lab.device.keys().flush();
    REQUIRE(lab.swtpm.loaded_handles() == 0);
}

SCENARIO("a key that was wrapped for another TPM, or with another PIN, is refused") {
    SealLab lab;
    const auto key = outside_key("ecdsa-256.openssh");
    const auto storage_key = tpm::storage_key_area(lab.device, TPM2_RH_OWNER);
    const auto wrapped = identity::wrap_for(storage_key, key, auth_of("a pin"), TPM2_RH_OWNER, "wrapped");
    CHECK(wrapped.kind == keyfile::KeyKind::importable);
    CHECK(identity::unwrap(lab.device, wrapped, auth_of("a pin"), "").comment == "wrapped");
    CHECK(refusal([&] { identity::unwrap(lab.device, wrapped, auth_of("no pin"), ""); }) == Errc::auth);
    SealLab other;
    CHECK(refusal([&] { identity::unwrap(other.device, wrapped, auth_of("a pin"), ""); }) ==
          Errc::foreign_key);
    for (auto* each : {&lab, &other}) {
        each->device.keys().flush();
        REQUIRE(each->swtpm.loaded_handles() == 0);
    }
}
