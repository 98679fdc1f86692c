#pragma once
// One signature, from the request to its blob.

#include "agent/pin_broker.hpp"
#include "protocol/message.hpp"

#include <optional>

namespace sshtpm::agent {

class Signer {
  public:
    Signer(PinBroker& broker, TpmService& tpm) : broker_(broker), tpm_(tpm) {}

    /// The signature blob, checked with the public key; nothing when the request is refused: a key that may
    /// not be used on this connection or for this, an algorithm that must not be made, a person's no, no PIN
    /// that the TPM took, a use that has ended meanwhile.
    /// @throws Error when the TPM fails.
    asio::awaitable<std::optional<Bytes>> sign(KeyUsePtr use, protocol::SignRequest request,
                                               const Client& client);

  private:
    asio::awaitable<std::optional<Bytes>> sign_in_use(KeyUsePtr use, protocol::SignRequest request,
                                                      const Client& client);

    PinBroker& broker_;
    TpmService& tpm_;
};

} // namespace sshtpm::agent
