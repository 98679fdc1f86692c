#include "agent/key_store.hpp"

#include "agent/reply.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"

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

std::shared_ptr<const identity::Identity>
KeyStore::refresh(std::shared_ptr<const identity::Identity> identity) {
    if (identity->file.empty() || stamp_of(identity->file) == identity->stamp)
        return identity;
    try { // caught because the key as it was loaded is still good
        auto loaded = std::make_shared<const identity::Identity>(identity::load_identity(identity->file));
        if (!(loaded->public_key == identity->public_key))
            return identity;
        log::info("the file of key '", loaded->comment, "' has changed; loaded again");
        std::ranges::replace(identities_, identity, loaded);
        listing_ = std::make_shared<const Bytes>(identities_reply(identities_));
        return loaded;
    } catch (const Error& error) {
        log::debug(printable(error.what()));
        return identity;
    }
}

} // namespace sshtpm::agent
