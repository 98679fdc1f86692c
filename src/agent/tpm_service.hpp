#pragma once
// What the agent has the TPM do. An interface, so that whole conversations can be tried without a TPM.

#include "agent/tpm_lane.hpp"
#include "identity/sign.hpp"
#include "ssh/private_key.hpp"
#include "tpm/capability.hpp"

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

class TpmService {
  public:
    TpmService() = default;
    TpmService(const TpmService&) = delete;
    TpmService& operator=(const TpmService&) = delete;
    virtual ~TpmService() = default;

    // Each throws Error when the TPM fails.

    /// The signature is checked with the public key. @param digest a digest of `hash`.
    virtual boost::asio::awaitable<identity::SignResult>
    sign(std::shared_ptr<const identity::Identity> identity, tpm::Auth auth, ssh::Hash hash,
         Bytes digest) = 0;

    virtual boost::asio::awaitable<tpm::Lockout> lockout() = 0;

    /// Loads a key before a person is asked for its PIN, so that they are not asked in vain, nor for one
    /// whose parent is not the known one.
    virtual boost::asio::awaitable<void> make_ready(std::shared_ptr<const identity::Identity> identity) = 0;

    /// Takes an outside key into the TPM, under the storage key, without a PIN (identity::seal).
    /// @throws Error(unsupported) for a key that this TPM cannot hold.
    virtual boost::asio::awaitable<std::shared_ptr<const identity::Identity>> seal(ssh::PrivateKey key,
                                                                                   std::string comment) = 0;
};

/// The TPM behind the lane.
class LaneService final : public TpmService {
  public:
    explicit LaneService(TpmLane& lane) : lane_(lane) {}

    boost::asio::awaitable<identity::SignResult> sign(std::shared_ptr<const identity::Identity> identity,
                                                      tpm::Auth auth, ssh::Hash hash, Bytes digest) override;
    boost::asio::awaitable<tpm::Lockout> lockout() override;
    boost::asio::awaitable<void> make_ready(std::shared_ptr<const identity::Identity> identity) override;
    boost::asio::awaitable<std::shared_ptr<const identity::Identity>> seal(ssh::PrivateKey key,
                                                                           std::string comment) override;

  private:
    TpmLane& lane_;
};

} // namespace sshtpm::agent
