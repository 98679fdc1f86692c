// SPDX-License-Identifier: MIT
#pragma once
// What a TPM does in TPM2_ActivateCredential, for endorsement keys whose private keys are in files.

#include "keyfile/credential.hpp"

#include <string>

namespace keyfile_test {

/// @param pem of the endorsement key's private key
/// @returns the secret
/// @throws std::runtime_error for a credential of another key or Name
sshtpm::Bytes open_credential(const std::string& pem, const TPMT_PUBLIC& endorsement_key,
                              sshtpm::ByteView name, const sshtpm::keyfile::Credential& credential);

} // namespace keyfile_test
