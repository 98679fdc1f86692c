// SPDX-License-Identifier: MIT
#pragma once
// Blocks signals for a time.

#include <csignal>
#include <initializer_list>

namespace sshtpm::os {

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
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    void block(const sigset_t& signals) noexcept { ::pthread_sigmask(SIG_BLOCK, &signals, &before_); }

    sigset_t before_{};
};

} // namespace sshtpm::os
