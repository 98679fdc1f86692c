#include "agent/key_store.hpp"

#include "protocol/permission.hpp"
#include "protocol/reply.hpp"

#include <algorithm>
#include <iterator>

namespace sshtpm::agent {

namespace {

HeldKeyPtr found_or_null(const std::vector<HeldKeyPtr>& keys, const auto& matches) {
    const auto found = std::ranges::find_if(keys, matches);
    return found == keys.end() ? nullptr : *found;
}

/// The same line with other key material.
HeldKeyPtr with_identity(const HeldKey& line, IdentityPtr identity) {
    HeldKey out = line;
    out.identity = std::move(identity);
    return std::make_shared<const HeldKey>(std::move(out));
}

/// The lines that a key file gives: the key and, where there is one, its certificate.
std::vector<HeldKeyPtr> lines_of(const IdentityPtr& identity, const HeldKey& terms) {
    HeldKey line = terms;
    line.identity = identity;
    line.origin = HeldKey::Origin::folder;
    line.certificate.reset();
    std::vector<HeldKeyPtr> out{std::make_shared<const HeldKey>(line)};
    if (identity->certificate) {
        line.certificate = identity->certificate;
        out.push_back(std::make_shared<const HeldKey>(line));
    }
    return out;
}

/// Takes the lines out for which `goes` holds.
std::vector<HeldKeyPtr> take_out(std::vector<HeldKeyPtr>& keys, const auto& goes) {
    std::vector<HeldKeyPtr> gone;
    std::ranges::copy_if(keys, std::back_inserter(gone), goes);
    std::erase_if(keys, goes);
    return gone;
}

} // namespace

ByteView HeldKey::blob() const noexcept {
    return certificate ? ByteView(certificate->blob) : identity->public_key.blob();
}

HeldKeyPtr KeyStore::find(ByteView blob) const {
    if (auto line = find_line(blob))
        return line;
    return found_or_null(keys_,
                         [&](const auto& key) { return equal(key->identity->public_key.blob(), blob); });
}

HeldKeyPtr KeyStore::find_line(ByteView blob) const {
    return found_or_null(keys_, [&](const auto& key) { return equal(key->blob(), blob); });
}

HeldKeyPtr KeyStore::find_public_key(const ssh::PublicKey& key) const {
    return found_or_null(keys_, [&](const auto& held) { return held->identity->public_key == key; });
}

void KeyStore::add(HeldKey key) {
    const auto same = [&](const auto& held) { return equal(held->blob(), key.blob()); };
    const auto place = std::ranges::find_if(keys_, same);
    auto line = std::make_shared<const HeldKey>(std::move(key));
    if (place == keys_.end())
        keys_.push_back(std::move(line));
    else
        *place = std::move(line);
    changed();
}

HeldKeyPtr KeyStore::remove(ByteView blob) {
    const auto line = find_line(blob);
    if (line) {
        std::erase(keys_, line);
        changed();
    }
    return line;
}

void KeyStore::clear() {
    keys_.clear();
    changed();
}

std::vector<HeldKeyPtr> KeyStore::expire(os::BootClock::time_point now) {
    auto gone = take_out(keys_, [&](const auto& key) { return key->dies && *key->dies <= now; });
    if (!gone.empty())
        changed();
    return gone;
}

std::optional<os::BootClock::time_point> KeyStore::next_death() const {
    std::optional<os::BootClock::time_point> next;
    for (const auto& key : keys_)
        if (key->dies && (!next || *key->dies < *next))
            next = key->dies;
    return next;
}

void KeyStore::put_file(IdentityPtr identity, const HeldKey& terms) {
    bool added_by_client = false;
    for (auto& key : keys_) {
        if (key->origin == HeldKey::Origin::folder || !(key->identity->public_key == identity->public_key))
            continue;
        key = with_identity(*key, identity);
        added_by_client = true;
    }
    const auto replaced = [&](const auto& key) {
        return key->origin == HeldKey::Origin::folder &&
               (key->identity->file == identity->file || key->identity->public_key == identity->public_key);
    };
    const auto first = std::ranges::find_if(keys_, replaced);
    const auto place = first - keys_.begin();
    std::erase_if(keys_, replaced);
    if (!added_by_client) {
        const auto lines = lines_of(identity, terms);
        keys_.insert(keys_.begin() + place, lines.begin(), lines.end());
    }
    changed();
}

std::vector<HeldKeyPtr> KeyStore::drop_file(const std::filesystem::path& file) {
    auto gone = take_out(keys_, [&](const auto& key) {
        return key->origin == HeldKey::Origin::folder && key->identity->file == file;
    });
    if (!gone.empty())
        changed();
    return gone;
}

std::shared_ptr<const Bytes> KeyStore::listing() const {
    if (!listing_)
        listing_ = std::make_shared<const Bytes>(listing_of(keys_));
    return listing_;
}

std::vector<HeldKeyPtr> KeyStore::visible(const protocol::BoundSessions& sessions) const {
    std::vector<HeldKeyPtr> out;
    std::ranges::copy_if(keys_, std::back_inserter(out),
                         [&](const auto& key) { return protocol::may_see(key->constraints, sessions); });
    return out;
}

void KeyStore::changed() {
    restricted_ =
        std::ranges::any_of(keys_, [](const auto& key) { return !key->constraints.destinations.empty(); });
    listing_.reset();
    if (listener_)
        listener_();
}

Bytes listing_of(const std::vector<HeldKeyPtr>& keys) {
    std::vector<protocol::ListedKey> listed;
    listed.reserve(keys.size());
    for (const auto& key : keys)
        listed.push_back({key->blob(), key->identity->comment});
    return protocol::identities_reply(listed);
}

} // namespace sshtpm::agent
