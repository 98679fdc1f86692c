#include "tpm/warm_keys.hpp"

#include "tpm/context.hpp"
#include "tpm/object.hpp"
#include "tpm/rc.hpp"

#include <algorithm>
#include <optional>

namespace sshtpm::tpm {

namespace {

/// Nothing when the private area does not fit this parent.
std::optional<Handle> try_load(const Context& context, const Parent& parent, const keyfile::KeyFile& key) {
    const TPM2B_PUBLIC public_area{.size = 0, .publicArea = key.public_area};
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc = Esys_Load(context.esys(), parent.tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              &key.private_area, &public_area, &tr);
    const auto code =
        check_expecting("Esys_Load", rc, {TPM2_RC_INTEGRITY, TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH});
    if (code == TPM2_RC_INTEGRITY)
        return std::nullopt;
    if (code != TSS2_RC_SUCCESS)
        throw parent_password_error();
    return Handle::transient(context, tr);
}

} // namespace

Handle load_key(const Context& context, Parents& parents, Parent& parent, const keyfile::KeyFile& key) {
    if (auto handle = try_load(context, parent, key)) {
        parents.accept(parent);
        return std::move(*handle);
    }
    if (auto replacement = parents.replace_impostor(parent)) {
        parent = std::move(*replacement);
        if (auto handle = try_load(context, parent, key)) {
            parents.accept(parent);
            return std::move(*handle);
        }
    }
    throw error_of("Esys_Load", TPM2_RC_INTEGRITY);
}

WarmKeys::WarmKeys(const Context& context, SavedPrimaries& primaries)
    : context_(context), primaries_(primaries), parents_(context) {}

SignResult WarmKeys::sign(const std::shared_ptr<const keyfile::KeyFile>& key, const Auth& auth,
                          TPMI_ALG_HASH hash, ByteView digest) {
    return with_retries(
        [&]() -> SignResult {
            const auto handle = loaded(key, auth != nullptr);
            const AuthInUse in_use(context_, handle, auth, &session_);
            if (auth)
                prepare_session(context_, session_, Encryption::none);
            auto result = tpm::sign(context_, handle, key->public_area.type,
                                    auth ? session_.tr() : ESYS_TR_PASSWORD, hash, digest);
            keys_used_ = Clock::now();
            session_used_ = auth ? keys_used_ : session_used_;
            if (std::holds_alternative<WrongAuth>(result))
                drop_session();
            return result;
        },
        [this](Remedy remedy) { give_back(remedy); });
}

void WarmKeys::make_ready(const std::shared_ptr<const keyfile::KeyFile>& key) {
    with_retries(
        [&] {
            loaded(key, true);
            keys_used_ = session_used_ = Clock::now();
        },
        [this](Remedy remedy) { give_back(remedy); });
}

void WarmKeys::flush() noexcept {
    warm_.clear();
    drop_session();
}

void WarmKeys::give_back(Remedy remedy) noexcept {
    if (remedy == Remedy::reload)
        abandon_lost();
    flush();
}

/// A number that the TPM has lost may be another program's by now, which would miss what we flush; and a
/// session that is not ours would have the right PIN counted as a wrong one.
void WarmKeys::abandon_lost() noexcept {
    for (auto& warm : warm_)
        if (!is_still_there(context_, warm.handle))
            warm.handle.abandon();
    if (session_ && !is_in_step(context_, session_))
        session_.abandon();
}

void WarmKeys::drop_session() noexcept {
    session_ = {};
    session_parent_.reset();
}

std::optional<WarmKeys::Clock::time_point> WarmKeys::rest(Clock::time_point since) noexcept {
    if (session_used_ <= since)
        drop_session();
    if (keys_used_ <= since)
        flush();
    if (holds_nothing())
        return std::nullopt;
    return session_ ? session_used_ : keys_used_;
}

void WarmKeys::start_session(const keyfile::KeyFile& key, const Parent& parent) {
    parents_.accept(parent);
    drop_session(); // before the new one needs its slot
    session_ = start_hmac_session(context_, parent.tr);
    session_parent_ = parent_name(key);
}

bool WarmKeys::has_session_for(const keyfile::KeyFile& key) const {
    return session_ && session_parent_ == parent_name(key);
}

/// Makes sure that the key is loaded, at the front, and that there is a session when one is needed.
ESYS_TR WarmKeys::loaded(const std::shared_ptr<const keyfile::KeyFile>& key, bool with_session) {
    const auto found = std::ranges::find(warm_, key, &Warm::key);
    if (found == warm_.end())
        load(key, with_session);
    else
        std::rotate(warm_.begin(), found, found + 1);
    if (with_session && !has_session_for(*key)) {
        drop_session(); // before the parent may need one
        start_session(*key, parents_.open(*key));
    }
    return warm_.front().handle.tr();
}

void WarmKeys::load(const std::shared_ptr<const keyfile::KeyFile>& key, bool with_session) {
    while (warm_.size() >= capacity) { // before the parent needs a slot
        const bool was_there = warm_.back().handle.give_back();
        warm_.pop_back();
        if (!was_there)
            give_back(Remedy::reload); // it may be the least of what is lost
    }
    if (parents_.opening_needs_session(*key))
        drop_session();
    if (key->kind == keyfile::KeyKind::primary) { // which has no PIN, and no parent
        hold(key, primaries_.load(context_, parents_, *key));
        return;
    }
    auto parent = parents_.open(*key);
    hold(key, load_key(context_, parents_, parent, *key));
    if (with_session && !has_session_for(*key))
        start_session(*key, parent); // now, while the parent is there to salt it
}

/// A number that a warm key has already: the TPM was reset since that one was loaded, and by this number the
/// new key would sign for it. To flush it would flush the new one.
void WarmKeys::hold(const std::shared_ptr<const keyfile::KeyFile>& key, Handle handle) {
    const auto number = handle.tpm_handle();
    if (std::ranges::any_of(warm_, [&](const Warm& warm) { return warm.handle.tpm_handle() == number; })) {
        for (auto& warm : warm_)
            warm.handle.abandon();
        session_.abandon();
        flush();
    }
    warm_.insert(warm_.begin(), Warm{key, std::move(handle)});
}

} // namespace sshtpm::tpm
