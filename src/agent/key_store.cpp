#include "agent/key_store.hpp"

#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "tpm/tpm2b.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sshtpm::agent {

namespace {

HeldKeyPtr found_or_null(const std::vector<HeldKeyPtr>& keys, const auto& matches) {
    const auto found = std::ranges::find_if(keys, matches);
    return found == keys.end() ? nullptr : *found;
}

HeldKeyPtr with_certificate(const HeldKey& line, const ssh::Certificate& certificate) {
    HeldKey out = line;
    out.certificate = certificate;
    return std::make_shared<const HeldKey>(std::move(out));
}

/// The folder's certificate of a client's key, on the terms of both.
HeldKey on_joint_terms(HeldKey line, const HeldKey& folder, const HeldKey& key) {
    line.constraints = key.constraints;
    line.constraints.confirm = line.constraints.confirm || folder.constraints.confirm;
    line.dies = key.dies ? key.dies : folder.dies;
    if (key.dies && folder.dies)
        line.dies = std::min(*key.dies, *folder.dies);
    return line;
}

bool is_from_folder(const HeldKeyPtr& line) {
    return line->origin == HeldKey::Origin::folder;
}

std::string name_of(const ssh::PublicKey& key) {
    return std::string(text_of(key.blob()));
}

/// Takes the lines out for which `goes` holds.
std::vector<HeldKeyPtr> take_out(std::vector<HeldKeyPtr>& keys, const auto& goes) {
    std::vector<HeldKeyPtr> gone;
    std::ranges::copy_if(keys, std::back_inserter(gone), goes);
    std::erase_if(keys, goes);
    return gone;
}

} // namespace

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

bool KeyStore::would_loosen(const HeldKey& line) const {
    return std::ranges::any_of(keys_, [&](const auto& other) {
        return other->identity->public_key == line.identity->public_key &&
               protocol::loosens(line.constraints, other->constraints);
    });
}

bool KeyStore::has_looser(const HeldKey& line) const {
    return std::ranges::any_of(keys_, [&](const auto& other) {
        return other->identity->public_key == line.identity->public_key &&
               protocol::loosens(other->constraints, line.constraints);
    });
}

void KeyStore::add(HeldKey key) {
    if (key.is_given())
        former_.given(key);
    const auto same = [&](const auto& held) { return equal(held->blob(), key.blob()); };
    const auto place = std::ranges::find_if(keys_, same);
    const auto line = std::make_shared<const HeldKey>(std::move(key));
    if (place == keys_.end())
        keys_.push_back(line);
    else
        *place = line;
    if (line->is_given() && !line->certifies())
        share_terms(*line);
    changed();
}

/// Otherwise the folder's certificate would sign without the key's constraints.
void KeyStore::share_terms(const HeldKey& key) {
    for (auto& line : keys_) {
        if (!is_from_folder(line) || !line->certifies() ||
            !(line->identity->public_key == key.identity->public_key))
            continue;
        auto joint = on_joint_terms(*line, files_.at(line->identity->file).terms, key);
        former_.apply_to(joint);
        line = std::make_shared<const HeldKey>(std::move(joint));
    }
}

KeyUsePtr KeyStore::use(const boost::asio::any_io_executor& loop, HeldKeyPtr line, ByteView blob) {
    auto use = std::make_shared<KeyUse>(loop, std::move(line), copy_of(blob));
    std::erase_if(uses_, [](const auto& other) { return other.expired(); });
    uses_.push_back(use);
    return use;
}

void KeyStore::end_uses_where(const std::function<bool(const KeyUse&)>& over) const {
    for (const auto& weak : uses_)
        if (const auto use = weak.lock(); use && over(*use))
            use->end();
}

void KeyStore::end_upstream_uses(ByteView blob) {
    end_uses_where(
        [&](const KeyUse& use) { return !use.line() && (blob.empty() || equal(use.blob(), blob)); });
}

/// True when its line would serve the request today, or the same key on the same terms.
bool KeyStore::still_serves(const KeyUse& use) const {
    const auto& line = *use.line();
    const auto now = find(use.blob());
    return now && now->constraints == line.constraints &&
           equal(tpm::view_of(now->identity->key->private_area),
                 tpm::view_of(line.identity->key->private_area));
}

HeldKeyPtr KeyStore::remove(ByteView blob) {
    const auto line = find_line(blob);
    if (line) {
        note_gone(*line);
        std::erase(keys_, line);
        changed();
    }
    return line;
}

void KeyStore::clear() {
    for (const auto& line : keys_)
        note_gone(*line);
    keys_.clear();
    changed();
    end_uses(); // of the upstream agents' keys, too
}

std::vector<HeldKeyPtr> KeyStore::expire(os::BootClock::time_point now) {
    auto gone = take_out(keys_, [&](const auto& key) { return key->dies && *key->dies <= now; });
    for (const auto& line : gone)
        note_gone(*line);
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

/// What no file could bring back is not remembered: it would have no end.
void KeyStore::note_gone(const HeldKey& line) {
    const auto has_certificate = [&](const auto& file) {
        return equal(file.second.certificate, line.blob());
    };
    if (line.is_given() && file_keys_.contains(name_of(line.identity->public_key)) &&
        (!line.certifies() || std::ranges::any_of(files_, has_certificate)))
        former_.gone(line);
}

bool KeyStore::has_file(const ssh::PublicKey& key) const {
    return std::ranges::any_of(files_, [&](const auto& file) { return file.second.key == name_of(key); });
}

/// The lines of this key that are not the folder's get what the TPM loads from its file.
void KeyStore::reload_given(const IdentityPtr& identity, bool confirm) {
    for (auto& line : keys_) {
        if (is_from_folder(line) || !(line->identity->public_key == identity->public_key))
            continue;
        HeldKey reloaded = *line;
        reloaded.identity = identity;
        reloaded.constraints.confirm = reloaded.constraints.confirm || confirm;
        line = std::make_shared<const HeldKey>(std::move(reloaded));
    }
}

/// A certificate that a client gave follows the one in the file.
/// @param before the certificate that the file had; empty for none.
void KeyStore::follow_certificate(ByteView before, const IdentityPtr& identity) {
    const auto& now = identity->certificate;
    const auto given = [&](ByteView blob) {
        return std::ranges::find_if(
            keys_, [&](const auto& line) { return !is_from_folder(line) && equal(line->blob(), blob); });
    };
    const auto old = given(before);
    if (now && given(now->blob) != keys_.end()) {
        if (old != keys_.end() && !equal(before, now->blob))
            keys_.erase(old);
    } else if (old != keys_.end() && now) {
        *old = with_certificate(**old, *now);
    } else if (old != keys_.end()) {
        keys_.erase(old);
    }
}

/// The lines that a file gives of itself: the key and, where there is one, its certificate.
std::vector<HeldKeyPtr> KeyStore::lines_of(const IdentityPtr& identity, const HeldKey& terms) const {
    std::vector<HeldKeyPtr> out;
    HeldKey line = terms;
    line.identity = identity;
    line.origin = HeldKey::Origin::folder;
    const auto give = [&](std::optional<ssh::Certificate> certificate) {
        line.certificate = std::move(certificate);
        if (former_.away(line) || find_line(line.blob()))
            return;
        former_.apply_to(line);
        out.push_back(std::make_shared<const HeldKey>(line));
    };
    give({});
    if (!identity->certificate)
        return out;
    const auto key = find_line(identity->public_key.blob());
    if (key && key->is_given())
        line = on_joint_terms(line, terms, *key);
    give(identity->certificate);
    return out;
}

void KeyStore::put_file(const IdentityPtr& identity, const HeldKey& terms) {
    const auto name = name_of(identity->public_key);
    const auto& certificate = identity->certificate;
    const auto before = std::exchange(
        files_[identity->file], Content{name, certificate ? copy_of(certificate->blob) : Bytes(), terms});
    file_keys_.insert(name);
    reload_given(identity, terms.constraints.confirm);
    follow_certificate(before.key == name ? ByteView(before.certificate) : ByteView(), identity);
    const auto replaced = [&](const auto& key) {
        return is_from_folder(key) &&
               (key->identity->file == identity->file || key->identity->public_key == identity->public_key);
    };
    const auto place = std::ranges::find_if(keys_, replaced) - keys_.begin();
    std::erase_if(keys_, replaced);
    const auto lines = lines_of(identity, terms);
    keys_.insert(keys_.begin() + place, lines.begin(), lines.end());
    changed();
}

std::vector<HeldKeyPtr> KeyStore::drop_file(const std::filesystem::path& file) {
    files_.erase(file);
    auto gone =
        take_out(keys_, [&](const auto& key) { return is_from_folder(key) && key->identity->file == file; });
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
    end_uses_where([this](const KeyUse& use) { return use.line() && !still_serves(use); });
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
