// SPDX-License-Identifier: MIT
#include "agent/tpm_thread.hpp"

#include "base/time_limits.hpp"
#include "identity/seal.hpp"
#include "os/signals.hpp"

#include <utility>

namespace sshtpm::agent {

TpmThread::TpmThread(asio::any_io_executor loop, const tpm::Target& target, const tpm::Auth& owner_password,
                     std::function<void()> changed)
    : loop_(std::move(loop)), connection_changed_(std::move(changed)) {
    // The new thread inherits this: a signal must not interrupt a read from the TPM, because the answer would
    // be lost.
    const os::BlockedSignals blocked;
    tpm_.emplace(target);
    tpm_->use_owner_password(owner_password);
    thread_ = std::thread([this] { serve(); });
}

TpmThread::~TpmThread() {
    end_within(std::chrono::milliseconds(0));
    if (thread_.joinable())
        thread_.join();
}

bool TpmThread::end_within(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    ending_ = true;
    queue_.clear();
    changed_.notify_all();
    if (!changed_.wait_for(lock, limit, [this] { return closed_; }))
        return false;
    lock.unlock();
    if (thread_.joinable())
        thread_.join();
    return true;
}

/// The thread's function: runs the jobs in order, and flushes idle keys and sessions from the TPM.
void TpmThread::serve() {
    std::optional<tpm::Tpm::Clock::time_point> rest_at;
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return ending_ || !queue_.empty(); };
    while (!ending_) {
        if (queue_.empty() && !rest_at) {
            changed_.wait(lock, has_work);
        } else if (queue_.empty() && !changed_.wait_until(lock, *rest_at, has_work)) {
            lock.unlock();
            rest_at = tpm_->rest(time_limits().tpm_idle);
            tell_of_change();
            lock.lock();
        }
        if (ending_ || queue_.empty())
            continue;
        auto work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        try { // caught to be rethrown on the loop
            work->run(*tpm_);
        } catch (...) {
            work->failure = std::current_exception();
        }
        tell_of_change();
        if (!rest_at)
            rest_at = tpm::Tpm::Clock::now() + time_limits().tpm_idle;
        asio::post(loop_, [work = std::move(work)] { work->done.close(); });
        lock.lock();
    }
    lock.unlock();
    tpm_.reset();
    lock.lock();
    closed_ = true;
    changed_.notify_all();
}

/// On the thread.
void TpmThread::tell_of_change() {
    const bool open = tpm_->is_open();
    if (open == std::exchange(told_open_, open))
        return;
    asio::post(loop_, connection_changed_);
}

asio::awaitable<void> TpmThread::run_work(std::function<void(tpm::Tpm&)> work) {
    const auto queued = std::make_shared<Work>(loop_);
    queued->run = std::move(work);
    co_await perform(queued);
    if (queued->failure)
        std::rethrow_exception(queued->failure);
}

asio::awaitable<void> TpmThread::perform(std::shared_ptr<Work> work) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(work);
    }
    changed_.notify_all();
    ErrorCode ignored;
    co_await work->done.async_receive(asio::redirect_error(asio::use_awaitable, ignored));
    if (!work->done.is_open())
        co_return;
    {
        const std::lock_guard lock(mutex_);
        if (std::erase(queue_, work) > 0)
            throw SystemError(asio::error::operation_aborted);
    }
    // A job that has begun is not cancelled. The caller's next co_await throws, not this one.
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await work->done.async_receive(asio::bind_cancellation_slot(
        asio::cancellation_slot(), asio::redirect_error(asio::use_awaitable, ignored)));
    co_await asio::this_coro::throw_if_cancelled(true);
}

// Jobs are named first: GCC 12 destroys the captures of a lambda written inside a co_await expression twice.

asio::awaitable<identity::SignResult> TpmThread::sign(IdentityPtr identity, tpm::Auth auth, ssh::Hash hash,
                                                      Bytes digest) {
    auto once = [identity, auth, hash, digest](tpm::Tpm& tpm) {
        return identity::sign_once(tpm, *identity, auth, hash, digest);
    };
    auto result = co_await run_with(identity, std::move(once));
    if (!identity::is_wrong(result, *identity, hash, digest))
        co_return result;
    auto reloaded = [identity, auth, hash, digest](tpm::Tpm& tpm) {
        return identity::sign_reloaded(tpm, *identity, auth, hash, digest);
    };
    result = co_await run_with(identity, std::move(reloaded));
    if (!identity::is_wrong(result, *identity, hash, digest))
        co_return result;
    auto refuse = [](tpm::Tpm&) -> bool { identity::refuse_wrong_signature(); };
    co_await run_with(identity, std::move(refuse));
    co_return result; // not reached: refuse throws
}

asio::awaitable<void> TpmThread::ensure_open() {
    std::function<void(tpm::Tpm&)> work = &tpm::Tpm::ensure_open;
    co_await run_work(std::move(work));
}

asio::awaitable<void> TpmThread::require_present() {
    std::function<void(tpm::Tpm&)> work = &tpm::Tpm::require_present;
    co_await run_work(std::move(work));
}

asio::awaitable<tpm::Lockout> TpmThread::lockout() {
    auto job = [](tpm::Tpm& tpm) { return tpm::read_lockout(tpm.context()); };
    co_return co_await run(std::move(job));
}

asio::awaitable<void> TpmThread::make_ready(IdentityPtr identity) {
    auto job = [identity](tpm::Tpm& tpm) {
        tpm.keys().make_ready(identity->key);
        return true; // a job must return a value
    };
    co_await run_with(identity, std::move(job));
}

asio::awaitable<void> TpmThread::try_loading(IdentityPtr identity) {
    auto job = [identity](tpm::Tpm& tpm) {
        tpm.keys().try_loading(identity->key);
        return true;
    };
    co_await run_with(identity, std::move(job));
}

asio::awaitable<IdentityPtr> TpmThread::seal(ssh::PrivateKey key, std::string comment) {
    auto job = [key = std::make_shared<ssh::PrivateKey>(std::move(key)),
                comment = std::move(comment)](tpm::Tpm& tpm) {
        return std::make_shared<const identity::Identity>(
            identity::seal(tpm, *key, nullptr, TPM2_RH_OWNER, comment));
    };
    co_return co_await run(std::move(job));
}

} // namespace sshtpm::agent
