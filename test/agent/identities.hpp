// SPDX-License-Identifier: MIT
#pragma once
// Identities for the tests of the agent, from key files of the test data.

#include "agent/key_store.hpp"
#include "base/file.hpp"
#include "support/data.hpp"

namespace support {

using namespace sshtpm;

inline agent::IdentityPtr an_identity(const std::string& file, const std::string& comment) {
    auto identity = identity::load_identity(data_path("keyfile/" + file));
    identity.comment = comment;
    identity.file.clear();
    return std::make_shared<const identity::Identity>(std::move(identity));
}

inline agent::IdentityPtr an_identity(const std::string& comment) {
    return an_identity("openssl-ec-p256.tpm", comment);
}

inline agent::IdentityPtr another_identity(const std::string& comment) {
    return an_identity("openssl-rsa-2048.tpm", comment);
}

} // namespace support
