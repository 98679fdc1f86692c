#pragma once
// PINs that the TPM has taken, in guarded memory.

#include "ssh/public_key.hpp"
#include "tpm/session.hpp"

#include <optional>
#include <string>
#include <unordered_map>

namespace sshtpm::agent {

class PinCache {
  public:
    /// Nothing when the key's PIN is not known; null when it is known to be empty.
    std::optional<tpm::Auth> find(const ssh::PublicKey& key) const;
    /// A PIN whose memory the system would not lock is not kept: it could reach swap.
    void remember(const ssh::PublicKey& key, const tpm::Auth& auth);
    /// Wiped when the last signature that uses it is done.
    void forget(const ssh::PublicKey& key);

  private:
    std::unordered_map<std::string, tpm::Auth> pins_; ///< by key blob
};

} // namespace sshtpm::agent
