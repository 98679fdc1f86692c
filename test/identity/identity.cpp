#include "identity/identity.hpp"

#include "identity/key_dir.hpp"
#include "ssh/fingerprint.hpp"
#include "support/test.hpp"

#include <filesystem>

using namespace sshtpm;
using namespace support;

namespace fs = std::filesystem;

SCENARIO("a key file of tpm2-openssl has the public key that openssl says") {
    const auto identity = identity::load_identity(data_path("keyfile/openssl-ec-p256.tpm"));
    CHECK(identity.public_key.type() == ssh::KeyType::ecdsa_p256);
    CHECK(identity.comment == data_path("keyfile/openssl-ec-p256.tpm").string());
    CHECK_FALSE(identity.needs_pin());
}

SCENARIO("messages name a key by its file, or by its comment and fingerprint") {
    auto identity = identity::load_identity(data_path("keyfile/openssl-ec-p256.tpm"));
    CHECK(identity.name() == data_path("keyfile/openssl-ec-p256.tpm").string());
    identity.file.clear();
    identity.comment = "me";
    CHECK(identity.name() == "key 'me' (" + ssh::fingerprint(identity.public_key.blob()) + ")");
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
