#include "agent/key_store.hpp"

#include "agent/reply.hpp"

#include <algorithm>

namespace sshtpm::agent {

KeyStore::KeyStore(std::vector<std::shared_ptr<const identity::Identity>> identities)
    : identities_(std::move(identities)),
      listing_(std::make_shared<const Bytes>(identities_reply(identities_))) {}

std::shared_ptr<const identity::Identity> KeyStore::find(ByteView blob) const {
    const auto matches = [&](const auto& identity) {
        return equal(identity->public_key.blob(), blob) ||
               (identity->certificate && equal(identity->certificate->blob, blob));
    };
    const auto found = std::ranges::find_if(identities_, matches);
    return found == identities_.end() ? nullptr : *found;
}

} // namespace sshtpm::agent
