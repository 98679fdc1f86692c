// SPDX-License-Identifier: MIT
#pragma once
// An entry of the key store, and a request that uses it.

#include "agent/asio.hpp"
#include "identity/identity.hpp"
#include "os/boottime.hpp"
#include "protocol/constraints.hpp"
#include "tpm/session.hpp"

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace sshtpm::agent {

inline constexpr std::size_t max_comment = 1024; ///< in bytes; longer comments are cut

using IdentityPtr = std::shared_ptr<const identity::Identity>;
using BootTime = os::BootClock::time_point;

/// The end of a key that is added now; nothing if the constraints set no lifetime.
inline std::optional<BootTime> end_from_now(const protocol::Constraints& constraints) {
    if (!constraints.lifetime)
        return std::nullopt;
    return os::BootClock::now() + std::chrono::seconds(*constraints.lifetime);
}

/// A PIN that the TPM has accepted.
struct KnownPin {
    tpm::Auth auth;
    BootTime typed, used;
    std::optional<BootTime> end; ///< of the entry for which the PIN was typed
};

/// A key or a certificate. A certificate has an entry of its own, as in ssh-agent.
struct KeyEntry {
    enum class Origin {
        folder,    ///< a file of the key folder: it comes and goes with the file
        client,    ///< a client gave a key file
        sealed,    ///< a client gave a private key, which went into the TPM on arrival
        hierarchy, ///< the TPM makes the key from a seed when the agent starts
    };

    IdentityPtr identity;
    std::optional<ssh::Certificate> certificate = {};
    Origin origin = Origin::client;
    protocol::Constraints constraints = {};
    std::optional<BootTime> dies = {};
    std::optional<KnownPin> pin = {}; ///< KeyStore decides which entries may use it, and for how long

    /// The blob by which clients name the entry.
    ByteView blob() const noexcept {
        return certificate ? ByteView(certificate->blob) : identity->public_key.blob();
    }
    /// True if a client has set its constraints.
    bool is_clients() const noexcept { return origin == Origin::client || origin == Origin::sealed; }
};

using KeyEntryPtr = std::shared_ptr<KeyEntry>;

/// One request's use of a key. KeyStore makes it, and ends it when the entry goes (removed, expired,
/// replaced) and when the agent is locked: no signature may leave after that. For the thread of the loop.
class KeyUse {
  public:
    /// @param entry null for a key of an upstream agent, which the blob names.
    KeyUse(const asio::any_io_executor& loop, KeyEntryPtr entry, Bytes blob)
        : entry_(std::move(entry)), blob_(std::move(blob)), end_(loop) {}

    const KeyEntryPtr& entry() const noexcept { return entry_; }
    ByteView blob() const noexcept { return blob_; }
    bool ended() const noexcept { return !end_.is_open(); }
    void end() { end_.close(); }

    /// Returns when the use has ended.
    asio::awaitable<void> wait_for_end() {
        ErrorCode ignored;
        co_await end_.async_receive(asio::redirect_error(asio::use_awaitable, ignored));
    }

  private:
    KeyEntryPtr entry_;
    Bytes blob_;
    /// Carries no messages; closing it wakes the waiting coroutine.
    asio::experimental::channel<void(ErrorCode)> end_;
};

using KeyUsePtr = std::shared_ptr<KeyUse>;

/// Runs the work, and cancels it when the use ends.
/// @returns the result; Result{} if the use has ended, even if the work was done just before
/// @throws the work's exception
template <class Result>
asio::awaitable<Result> while_in_use(KeyUsePtr use, asio::awaitable<Result> work) {
    const auto loop = co_await asio::this_coro::executor;
    auto [order, failure, result, unused] =
        co_await asio::experimental::make_parallel_group(
            asio::co_spawn(loop, std::move(work), asio::deferred),
            asio::co_spawn(loop, use->wait_for_end(), asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (use->ended())
        co_return Result{};
    if (failure)
        std::rethrow_exception(failure);
    co_return std::move(result);
}

} // namespace sshtpm::agent
