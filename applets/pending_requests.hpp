// SPDX-License-Identifier: MIT
#pragma once
// The requests that this user has made: "attest install" takes the answers to these alone. They are files in
// the state folder, named by the digest of the request; the latest 32 are kept.

#include "attest/document.hpp"

#include <filesystem>
#include <vector>

namespace sshtpm::applets {

struct RequestedKey {
    Bytes blob;
    std::filesystem::path base; ///< KEY, of KEY.tpm and KEY-cert.pub
};

/// @throws Error(io | permission)
void remember_request(const attest::Digest& request, const std::vector<RequestedKey>& keys);

/// The keys of a request. @throws Error(refused) if this user has not made it
std::vector<RequestedKey> find_request(const attest::Digest& request);

} // namespace sshtpm::applets
