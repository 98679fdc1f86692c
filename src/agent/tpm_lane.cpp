#include "agent/tpm_lane.hpp"

#include "base/time_limits.hpp"

#include <csignal>
#include <future>
#include <memory>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

/// Blocks all signals in this thread, and so in those it starts meanwhile: a signal must not interrupt a
/// read from the TPM, whose answer would be lost.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_{};
};

} // namespace

TpmLane::TpmLane(asio::any_io_executor loop, const tpm::Target& target, const tpm::Auth& owner_password)
    : loop_(loop), idle_timer_(loop), lane_stays_(lane_.get_executor()) {
    std::promise<void> opened;
    {
        const SignalsBlocked blocked;
        thread_ = std::thread([this] { lane_.run(); });
    }
    asio::post(lane_, [this, &opened, &target, &owner_password] {
        try { // caught to be thrown again by the constructor
            device_.emplace(target);
            device_->use_owner_password(owner_password);
            opened.set_value();
        } catch (...) {
            opened.set_exception(std::current_exception());
        }
    });
    try { // caught to end the thread first
        opened.get_future().get();
    } catch (...) {
        lane_stays_.reset();
        thread_.join();
        throw;
    }
}

TpmLane::~TpmLane() {
    if (thread_.joinable())
        end_within(std::chrono::seconds(0));
    if (thread_.joinable())
        thread_.join();
}

bool TpmLane::end_within(std::chrono::milliseconds limit) {
    ending_ = true;
    const auto closed = std::make_shared<std::promise<void>>();
    auto end = closed->get_future();
    asio::post(lane_, [this, closed] {
        device_.reset();
        closed->set_value();
    });
    lane_stays_.reset();
    if (end.wait_for(limit) != std::future_status::ready)
        return false;
    thread_.join();
    return true;
}

void TpmLane::watch_idleness() {
    used_ = true;
    if (!idle_timer_set_) // the device says when it rings how long it should have waited, which costs less
        ring_at(std::chrono::steady_clock::now() +
                time_limits().tpm_idle); // than to set it anew for every job
}

void TpmLane::ring_at(std::chrono::steady_clock::time_point when) {
    idle_timer_set_ = true;
    idle_timer_.expires_at(when);
    idle_timer_.async_wait([this](const boost::system::error_code& failure) {
        if (!failure)
            idle_timer_rang();
    });
}

void TpmLane::idle_timer_rang() {
    used_ = false;
    asio::post(lane_, [this] {
        if (ending_)
            return;
        const auto next = device_->rest(time_limits().tpm_idle);
        asio::post(loop_, [this, next] {
            idle_timer_set_ = false;
            if (next)
                ring_at(*next);
            else if (used_) // by a job that came behind the rest
                watch_idleness();
        });
    });
}

} // namespace sshtpm::agent
