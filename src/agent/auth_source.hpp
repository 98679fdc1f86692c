#pragma once
// Where a key's auth value comes from: it has none, the cache, or a person.

#include "agent/pin_cache.hpp"
#include "identity/identity.hpp"

#include <optional>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

/// An auth value to try; `auth` is null for a key without a PIN.
struct AuthOffer {
    tpm::Auth auth;
    bool from_cache = false;
};

class AuthSource {
  public:
    /// @param refused_before how many PINs from a person the TPM has refused in this request.
    /// @returns nothing when there is nobody to ask, or no answer.
    boost::asio::awaitable<std::optional<AuthOffer>>
    auth_for(std::shared_ptr<const identity::Identity> identity, int refused_before);

    /// The TPM has taken it: only now is it remembered.
    void taken(const identity::Identity& identity, const AuthOffer& offer);
    void refused(const identity::Identity& identity);

  private:
    PinCache cache_;
};

} // namespace sshtpm::agent
