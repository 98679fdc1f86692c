#pragma once
// The one thread that owns the TPM. Jobs go there by value, results come back to the loop; a TPM handle never
// leaves it.

#include "tpm/device.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::agent {

class TpmLane {
  public:
    /// Opens the TPM on the new thread and waits for it. @throws Error when it cannot be opened.
    TpmLane(boost::asio::any_io_executor loop, const tpm::Target& target, const tpm::Auth& owner_password);
    TpmLane(const TpmLane&) = delete;
    TpmLane& operator=(const TpmLane&) = delete;
    ~TpmLane();

    /// Drops the jobs that have not begun, waits for the one under way, gives everything in the TPM back and
    /// closes it.
    /// @returns false when that takes longer: the TPM hangs, and so would the destructor.
    bool end_within(std::chrono::milliseconds limit);

    const boost::asio::any_io_executor& loop() const noexcept { return loop_; }

    /// Runs `job(tpm::Device&)` on the lane, after the jobs before it, and gives its result, or throws what
    /// it threw, on the loop. Cancelled before its turn has come, it is not run, and that is told at once;
    /// afterwards its result is awaited, because what the TPM has done counts.
    template <class Job>
    boost::asio::awaitable<std::invoke_result_t<Job, tpm::Device&>> run(Job job) {
        using Result = std::invoke_result_t<Job, tpm::Device&>;
        watch_idleness();
        co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                                       void(std::exception_ptr, Result)>(
            [this](auto handler, Job started) {
                this->start<Result>(std::move(started), std::move(handler));
            },
            boost::asio::use_awaitable, std::move(job));
    }

  private:
    enum class Phase { queued, begun, given_up };

    /// Who waits for a job. The handler is touched on the loop only, and goes there when it is done.
    template <class Handler>
    struct Waiting {
        explicit Waiting(Handler&& waits) : handler(std::move(waits)) {}

        /// @returns false when another has come first.
        bool enter(Phase phase) {
            auto queued = Phase::queued;
            return phase_.compare_exchange_strong(queued, phase);
        }
        template <class Result>
        void complete(std::exception_ptr failure, Result result) {
            boost::asio::get_associated_cancellation_slot(handler).clear();
            std::move(handler)(std::move(failure), std::move(result));
        }

        Handler handler;

      private:
        std::atomic<Phase> phase_ = Phase::queued;
    };

    template <class Result, class Handler>
    void give_up_when_cancelled(const std::shared_ptr<Waiting<Handler>>& waiting) {
        auto slot = boost::asio::get_associated_cancellation_slot(waiting->handler);
        if (!slot.is_connected())
            return;
        slot.assign([loop = loop_, weak = std::weak_ptr(waiting)](boost::asio::cancellation_type) {
            const auto still = weak.lock();
            if (!still || !still->enter(Phase::given_up))
                return;
            boost::asio::post(loop, [still] {
                still->complete(std::make_exception_ptr(
                                    boost::system::system_error(boost::asio::error::operation_aborted)),
                                Result{});
            });
        });
    }

    template <class Result, class Job, class Handler>
    void start(Job job, Handler handler) {
        auto waiting = std::make_shared<Waiting<Handler>>(std::move(handler));
        give_up_when_cancelled<Result>(waiting);
        boost::asio::post(lane_, [this, job = std::move(job), queued = std::chrono::steady_clock::now(),
                                  waiting = std::move(waiting),
                                  loop_stays = boost::asio::make_work_guard(loop_)]() mutable {
            if (ending_ || !waiting->enter(Phase::begun))
                return; // nobody waits for the result any more
            std::exception_ptr failure;
            Result result{};
            try { // caught to be thrown again on the loop
                result = device_->run(job, queued);
            } catch (...) {
                failure = std::current_exception();
            }
            boost::asio::post(loop_,
                              [waiting = std::move(waiting), failure, result = std::move(result)]() mutable {
                                  waiting->complete(failure, std::move(result));
                              });
        });
    }

    void watch_idleness();
    void ring_at(std::chrono::steady_clock::time_point when);
    void idle_timer_rang();

    boost::asio::any_io_executor loop_;
    boost::asio::steady_timer idle_timer_; ///< on the loop: one on the lane costs three descriptors
    bool idle_timer_set_ = false;
    bool used_ = false; ///< since the timer rang

    boost::asio::io_context lane_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> lane_stays_;
    std::optional<tpm::Device> device_; ///< touched on the lane only
    std::atomic<bool> ending_ = false;
    std::thread thread_;
};

} // namespace sshtpm::agent
