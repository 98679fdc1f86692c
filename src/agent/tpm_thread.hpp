// SPDX-License-Identifier: MIT
#pragma once
// The thread that owns the TPM. Jobs are passed to it by value, and results return to the loop; a TPM handle
// never leaves the thread.

#include "agent/key_entry.hpp"
#include "identity/sign.hpp"
#include "ssh/private_key.hpp"
#include "tpm/lockout.hpp"
#include "tpm/tpm.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>

namespace sshtpm::agent {

/// The operations of the TPM that requests need. An interface, so that tests need no TPM. Each operation
/// throws Error if the TPM fails; the errors of `sign`, `make_ready` and `try_loading` name the key.
class TpmService {
  public:
    TpmService() = default;
    TpmService(const TpmService&) = delete;
    TpmService& operator=(const TpmService&) = delete;
    virtual ~TpmService() = default;

    /// Signs, and verifies the signature with the public key. @param digest a digest of `hash`
    virtual asio::awaitable<identity::SignResult> sign(IdentityPtr identity, tpm::Auth auth, ssh::Hash hash,
                                                       Bytes digest) = 0;

    virtual asio::awaitable<tpm::Lockout> lockout() = 0;

    /// Loads a key before a person is asked for its PIN, so that an error, such as an unexpected parent,
    /// comes before the question.
    virtual asio::awaitable<void> make_ready(IdentityPtr identity) = 0;

    /// Loads a key, and flushes it again. @throws Error(foreign_key) for another TPM's key
    virtual asio::awaitable<void> try_loading(IdentityPtr identity) = 0;

    /// Imports a private key into the TPM, under the storage key, without a PIN (identity::seal).
    /// @throws Error(unsupported) for a key that this TPM does not support
    virtual asio::awaitable<IdentityPtr> seal(ssh::PrivateKey key, std::string comment) = 0;
};

class TpmThread final : public TpmService {
  public:
    /// The first job opens the TPM.
    /// @param changed called on the loop after the connection to the TPM was opened, or lost
    TpmThread(
        asio::any_io_executor loop, const tpm::Target& target, const tpm::Auth& owner_password,
        std::function<void()> changed = [] {});
    ~TpmThread() override;

    /// Waits for the running job, flushes everything from the TPM and closes it. Jobs that have not begun are
    /// dropped; the caller has cancelled their coroutines.
    /// @returns false if this takes longer than `limit`: the TPM hangs, and the destructor would hang too
    bool end_within(std::chrono::milliseconds limit);

    /// Runs `job(tpm::Tpm&)` on the thread, after the earlier jobs, and returns its result or rethrows its
    /// exception. Cancellation drops a job that has not begun, and ends the wait at once. The result of a job
    /// that has begun is awaited, because the TPM may have counted a try.
    template <class Job>
    asio::awaitable<std::invoke_result_t<Job, tpm::Tpm&>> run(Job job) {
        using Result = std::invoke_result_t<Job, tpm::Tpm&>;
        const auto result = std::make_shared<std::optional<Result>>();
        std::function<void(tpm::Tpm&)> work =
            [work_job = std::move(job), result, queued = std::chrono::steady_clock::now()](
                tpm::Tpm& tpm) mutable { result->emplace(tpm.run(work_job, queued)); };
        co_await run_work(std::move(work));
        co_return std::move(**result);
    }

    /// Opens the TPM, unless it is open. @throws Error if it cannot be opened
    asio::awaitable<void> ensure_open();
    /// Tpm::require_present, after the earlier jobs.
    asio::awaitable<void> require_present();

    asio::awaitable<identity::SignResult> sign(IdentityPtr identity, tpm::Auth auth, ssh::Hash hash,
                                               Bytes digest) override;
    asio::awaitable<tpm::Lockout> lockout() override;
    asio::awaitable<void> make_ready(IdentityPtr identity) override;
    asio::awaitable<void> try_loading(IdentityPtr identity) override;
    asio::awaitable<IdentityPtr> seal(ssh::PrivateKey key, std::string comment) override;

  private:
    struct Work {
        explicit Work(const asio::any_io_executor& loop) : done(loop) {}

        std::function<void(tpm::Tpm&)> run;
        std::exception_ptr failure;
        /// Closed on the loop when the job has run. It carries no message, because Boost 1.81 takes an empty
        /// buffer for a full one after a cancelled receive.
        asio::experimental::channel<void(ErrorCode)> done;
    };

    /// Like `run`; errors name the key.
    template <class Job>
    asio::awaitable<std::invoke_result_t<Job, tpm::Tpm&>> run_with(IdentityPtr identity, Job job) {
        try { // caught to name the key
            co_return co_await run(std::move(job));
        } catch (const Error& error) {
            throw error.about(identity->name());
        }
    }
    /// Calls `work` on the thread, after the earlier jobs, and rethrows its exception.
    asio::awaitable<void> run_work(std::function<void(tpm::Tpm&)> work);
    asio::awaitable<void> perform(std::shared_ptr<Work> work);
    void serve();
    void tell_of_change();

    asio::any_io_executor loop_;
    std::function<void()> connection_changed_;
    bool told_open_ = false;      ///< for the thread alone: the state that the loop knows
    std::optional<tpm::Tpm> tpm_; ///< used by the thread alone, while it runs
    std::mutex mutex_;            ///< for the members below
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Work>> queue_;
    bool ending_ = false, closed_ = false;
    std::thread thread_;
};

} // namespace sshtpm::agent
