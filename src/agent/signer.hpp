// SPDX-License-Identifier: MIT
#pragma once
// Makes a signature for a request.

#include "agent/pin_broker.hpp"
#include "protocol/message.hpp"

#include <optional>

namespace sshtpm::agent {

/// The algorithm that a request for a signature gets. Nothing if it asks for RSA with SHA-1, except for the
/// test of `ssh-add -T`, which gets rsa-sha2-256.
std::optional<ssh::SignatureAlgorithm> algorithm_for(ssh::KeyType type, const protocol::SignRequest& request);

class Signer {
  public:
    Signer(PinBroker& broker, TpmService& tpm) : broker_(broker), tpm_(tpm) {}

    /// @returns the signature blob, verified with the public key; nothing if the use has ended meanwhile
    /// @throws Refused if the key may not be used on this connection or for this data, a person said no, or
    ///     the TPM accepted no PIN; Error if the TPM fails; Error(refused) for SHA-1
    asio::awaitable<std::optional<Bytes>> sign(KeyUsePtr use, protocol::SignRequest request,
                                               const Client& client);

  private:
    asio::awaitable<std::optional<Bytes>> sign_in_use(KeyUsePtr use, protocol::SignRequest request,
                                                      const Client& client);

    PinBroker& broker_;
    TpmService& tpm_;
};

} // namespace sshtpm::agent
