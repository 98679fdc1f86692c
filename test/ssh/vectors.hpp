// SPDX-License-Identifier: MIT
#pragma once
// The vectors of test/data/ssh, in the pieces that tests use; its README.md says who made them.

#include "base/bytes.hpp"
#include "ssh/public_key.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vectors {

/// The blob in "NAME.pub".
sshtpm::Bytes blob(std::string_view name);
sshtpm::ssh::PublicKey key(std::string_view name);

std::vector<std::string> lines(std::string_view file);
std::vector<std::string> words(std::string_view line);

/// The keys that this agent can hold, by the name of their file.
inline constexpr std::string_view held_keys[] = {"ecdsa-256", "ecdsa-384", "ecdsa-521",
                                                 "rsa-2048",  "rsa-3072",  "rsa-4096"};

} // namespace vectors
