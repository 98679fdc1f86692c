// SPDX-License-Identifier: MIT
#pragma once
// Which files have TPM keys.

#include "base/pem.hpp"

#include <array>
#include <filesystem>
#include <string_view>

namespace sshtpm::applets {

/// The keys in ~/.ssh that are used where none is named, without the endings of their files.
inline constexpr std::array<std::string_view, 2> default_key_names{"id_ecdsa", "id_rsa"};

/// True for the private key of a TPM, also if it is in the format of another program.
bool is_tpm_key(const PrivateKeyBlock& block);

/// True if it is a regular file with a TPM key. Does not read from pipes.
bool has_tpm_key(const std::filesystem::path& file);

/// The same for FILE, or FILE.tpm if there is no FILE.
bool names_tpm_key(const std::filesystem::path& file);

} // namespace sshtpm::applets
