#pragma once
// The keys that the agent holds.

#include "identity/identity.hpp"

#include <memory>
#include <vector>

namespace sshtpm::agent {

class KeyStore {
  public:
    explicit KeyStore(std::vector<std::shared_ptr<const identity::Identity>> identities);

    /// By the blob of a key or of its certificate; null when there is none.
    std::shared_ptr<const identity::Identity> find(ByteView blob) const;

    /// The identity as its file has it now: where that was replaced since it was loaded (by a new PIN, say),
    /// it is loaded again. A file that is gone or broken, or another key's, leaves the identity as it is.
    std::shared_ptr<const identity::Identity> refresh(std::shared_ptr<const identity::Identity> identity);

    /// The answer to SSH_AGENTC_REQUEST_IDENTITIES, framed; made when the keys change, not when it is asked
    /// for.
    std::shared_ptr<const Bytes> listing() const noexcept { return listing_; }

  private:
    std::vector<std::shared_ptr<const identity::Identity>> identities_;
    std::shared_ptr<const Bytes> listing_;
};

} // namespace sshtpm::agent
