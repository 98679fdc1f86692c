#include "identity/identity.hpp"

#include "base/error.hpp"
#include "identity/key_dir.hpp"
#include "identity/sign.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/digest.hpp"
#include "support/swtpm.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"
#include "tpm/device.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

using namespace sshtpm;
using namespace support;

namespace {

namespace fs = std::filesystem;

} // namespace

SCENARIO("every kind of key signs with every hash that SSH asks of it") {
    const Swtpm swtpm;
    tpm::Device device({.tcti = swtpm.tcti(), .emulator_state = {}});
    struct Case {
        tpm::KeyAlgorithm algorithm;
        std::vector<ssh::Hash> hashes;
    };
    const std::array cases{
        Case{{TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}, {ssh::Hash::sha256}},
        Case{{TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0}, {ssh::Hash::sha384}},
        Case{{TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0}, {ssh::Hash::sha512}},
        Case{{TPM2_ALG_RSA, 0, 2048}, {ssh::Hash::sha256, ssh::Hash::sha512}},
    };
    for (const auto& each : cases) {
        const auto identity =
            identity::make_identity(tpm::create_key(device, each.algorithm, nullptr), "a comment");
        for (const auto hash : each.hashes)
            for (std::uint8_t round = 0; round < 20; ++round) {
                const auto digest = ssh::digest(hash, Bytes{round});
                const auto result = identity::sign(device, identity, nullptr, hash, digest);
                REQUIRE(std::holds_alternative<ssh::RawSignature>(result));
                CHECK(identity.verifier.verify(hash, digest, std::get<ssh::RawSignature>(result)));
                CHECK_FALSE(identity.verifier.verify(hash, ssh::digest(hash, Bytes{0xFF}),
                                                     std::get<ssh::RawSignature>(result)));
            }
    }
    device.keys().flush();
    CHECK(swtpm.loaded_handles() == 0);
}

SCENARIO("a key file of tpm2-openssl has the public key that openssl says") {
    const auto identity = identity::load_identity(data_path("keyfile/openssl-ec-p256.tpm"));
    CHECK(identity.public_key.type() == ssh::KeyType::ecdsa_p256);
    CHECK(identity.comment == data_path("keyfile/openssl-ec-p256.tpm").string());
    CHECK_FALSE(identity.needs_pin());
}

SCENARIO("the key folder gives its .tpm files in the order of their names") {
    const TempFolder folder;
    put(folder / "a.tpm", data_text("keyfile/openssl-ec-p256.tpm"));
    put(folder / "b.tpm", "not a key");
    put(folder / "c.tpm", data_text("keyfile/openssl-rsa-2048.tpm"));
    put(folder / "d.tpm", data_text("keyfile/openssl-ec-p256.tpm")); // a again
    put(folder / "e.pem", data_text("keyfile/openssl-ec-p384.tpm"));
    put(folder / "f.tpm", data_text("keyfile/tools-sealed.tpm"));
    fs::create_directory(folder / "g.tpm");
    fs::create_symlink("h.tpm", folder / "h.tpm");
    const auto files = identity::key_files(folder.path());
    std::vector<std::string> names;
    for (const auto& file : files)
        names.push_back(file.filename().string());
    CHECK(names == std::vector<std::string>{"a.tpm", "b.tpm", "c.tpm", "d.tpm", "f.tpm", "g.tpm", "h.tpm"});
}

SCENARIO("a folder that is not there has no keys") {
    CHECK(identity::key_files("/nonexistent/folder").empty());
}

SCENARIO("another key's certificate beside a key is not taken, and the key still is") {
    const TempFolder folder;
    put(folder / "a.tpm", data_text("keyfile/openssl-ec-p256.tpm"));
    put(folder / "a-cert.pub", data_text("ssh/ecdsa-256-user-cert.pub"));
    const auto identity = identity::load_identity(folder / "a.tpm");
    CHECK_FALSE(identity.certificate);
}
