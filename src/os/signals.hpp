// SPDX-License-Identifier: MIT
#pragma once
// Blocks signals for a time.

#include "os/harden.hpp"

#include <csignal>
#include <initializer_list>

namespace sshtpm::os {

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP, except those that were ignored when this program started (nohup(1)).
inline sigset_t ending_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP})
        if (!was_ignored_at_start(number))
            sigaddset(&signals, number);
    return signals;
}

/// Blocks signals in this thread, and in threads that it starts, for the lifetime of the object.
class BlockedSignals {
  public:
    /// Blocks all signals.
    BlockedSignals() noexcept {
        sigset_t all;
        sigfillset(&all);
        block(all);
    }
    /// Blocks these signals.
    BlockedSignals(std::initializer_list<int> numbers) noexcept {
        sigset_t some;
        sigemptyset(&some);
        for (const int number : numbers)
            sigaddset(&some, number);
        block(some);
    }
    explicit BlockedSignals(const sigset_t& signals) noexcept { block(signals); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    void block(const sigset_t& signals) noexcept { ::pthread_sigmask(SIG_BLOCK, &signals, &before_); }

    sigset_t before_{};
};

} // namespace sshtpm::os
