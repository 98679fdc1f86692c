// SPDX-License-Identifier: MIT
#include "tcti_probe_exchange.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>

#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

namespace probe {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t largest_response = 4096; // what every TPM keeps to (PTP 1.06, 3.8)

Buffer contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

Probe::~Probe() {
    if (timer_ >= 0)
        close(timer_);
    Tss2_TctiLdr_Finalize(&next);
}

TSS2_RC Probe::transmit(Buffer command) {
    if (state_ != State::idle)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    command_ = std::move(command);
    response_.clear();
    fault_.reset();
    no_ecc_ = false;
    ready_at_ = {};
    if (!faults)
        return pass_on();
    const std::optional<Verdict> verdict = faults->judge(command_name(command_));
    if (!verdict)
        return TSS2_TCTI_RC_BAD_VALUE;
    std::this_thread::sleep_for(verdict->delay);
    if (verdict->slow.count() > 0)
        ready_at_ = Clock::now() + verdict->slow;
    fault_ = verdict->fault;
    no_ecc_ = verdict->no_ecc;
    if (const auto refusal = no_ecc_ && !fault_ ? hide_ecc_key(command_) : std::nullopt)
        return answer(error_reply(*refusal));
    return fault_ ? begin_fault() : pass_on();
}

TSS2_RC Probe::begin_fault() {
    switch (fault_->action) {
    case Action::answer:
    case Action::garbage:
        return answer(fault_->action == Action::garbage
                          ? garbage_reply()
                          : error_reply(static_cast<std::uint32_t>(fault_->number.value_or(0))));
    case Action::hang:
        state_ = State::hung;
        return TSS2_RC_SUCCESS;
    case Action::eof:
        if (fault_->word.empty())
            return finish(TSS2_TCTI_RC_IO_ERROR);
        state_ = State::failing;
        return TSS2_RC_SUCCESS;
    default: // it is the response that will be spoiled
        return pass_on();
    }
}

TSS2_RC Probe::answer(Buffer response) {
    response_ = std::move(response);
    state_ = State::answered;
    return TSS2_RC_SUCCESS;
}

TSS2_RC Probe::pass_on() {
    if (const auto hash = hash_of_signature(command_); hash && std::ranges::count(missing_hashes, *hash) > 0)
        return answer(
            error_reply(TPM2_RC_HASH + TPM2_RC_P + TPM2_RC_2)); // as the scheme, parameter 2, is read
    const TSS2_RC rc = Tss2_Tcti_Transmit(next, command_.size(), command_.data());
    if (rc != TSS2_RC_SUCCESS)
        return finish(rc);
    state_ = State::passed;
    return rc;
}

TSS2_RC Probe::receive(size_t* size, std::uint8_t* response, std::int32_t timeout) {
    if (state_ == State::idle)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    if (size == nullptr)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (!wait_until_ready(timeout))
        return TSS2_TCTI_RC_TRY_AGAIN;
    if (state_ == State::failing)
        return finish(TSS2_TCTI_RC_IO_ERROR);
    if (state_ == State::passed)
        if (const TSS2_RC rc = fetch(timeout); rc != TSS2_RC_SUCCESS)
            return rc;

    const std::size_t room = *size;
    *size = response_.size();
    if (response == nullptr) // only the size was asked for
        return TSS2_RC_SUCCESS;
    if (room < response_.size())
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    std::ranges::copy(response_, response);
    return finish(TSS2_RC_SUCCESS);
}

/// Gets the TPM's response and does to it what the fault says.
TSS2_RC Probe::fetch(std::int32_t timeout) {
    Buffer response(largest_response);
    std::size_t size = response.size();
    const TSS2_RC rc = Tss2_Tcti_Receive(next, &size, response.data(), timeout);
    if (rc == TSS2_TCTI_RC_TRY_AGAIN)
        return rc; // the caller comes again
    if (rc != TSS2_RC_SUCCESS)
        return finish(rc);
    response.resize(size);
    response = without_algorithms(command_, std::move(response), missing_hashes);
    if (no_ecc_)
        response = without_algorithms(command_, std::move(response), ecc_algorithms);
    return spoil(std::move(response));
}

TSS2_RC Probe::spoil(Buffer response) {
    const Action action = fault_ ? fault_->action : Action::answer;
    if (action == Action::lose)
        return finish(TSS2_TCTI_RC_IO_ERROR);
    if (action == Action::cut)
        response.resize(std::min(response.size(), static_cast<std::size_t>(fault_->number.value_or(0))));
    else if (action == Action::corrupt)
        response = corrupted(std::move(response), fault_->number);
    else if (action == Action::lie)
        response = with_lying_size(std::move(response), fault_->number.value_or(0));
    else if (action == Action::swap)
        response = with_swapped_area(command_, response, contents(fault_->word),
                                     fault_->stale ? SwappedName::left : SwappedName::adjusted);
    return answer(std::move(response));
}

/// Writes the exchange down and makes ready for the next one.
TSS2_RC Probe::finish(TSS2_RC rc) {
    state_ = State::idle;
    if (rc != TSS2_RC_SUCCESS)
        response_.clear();
    if (log) {
        const auto code = rc == TSS2_RC_SUCCESS ? header_code(response_) : rc;
        const auto line = command_name(command_) + ' ' + (code ? hex_code(*code) : "short-reply") + '\n';
        log->append(line.data(), line.size());
    }
    if (record) {
        Buffer both = command_; // in one piece, as other processes write there too
        both.insert(both.end(), response_.begin(), response_.end());
        record->append(both.data(), both.size());
    }
    return rc;
}

/// False when the time is up before.
bool Probe::wait_until_ready(std::int32_t timeout) const {
    if (state_ == State::hung) {
        while (timeout == TSS2_TCTI_TIMEOUT_BLOCK)
            pause(); // for good
        poll(nullptr, 0, timeout);
        return false;
    }
    const auto enough = Clock::now() + std::chrono::milliseconds(timeout);
    const bool in_time = timeout == TSS2_TCTI_TIMEOUT_BLOCK || ready_at_ <= enough;
    std::this_thread::sleep_until(in_time ? ready_at_ : enough);
    return in_time;
}

TSS2_RC Probe::poll_handles(TSS2_TCTI_POLL_HANDLE* handles, size_t* count) {
    if (count == nullptr)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    const bool is_slow = ready_at_ > Clock::now();
    if (!is_slow && (state_ == State::idle || state_ == State::passed))
        return Tss2_Tcti_GetPollHandles(next, handles, count);
    if (handles != nullptr) {
        if (*count < 1)
            return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
        if (timer_ < 0)
            timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        itimerspec when{}; // all zero: it never rings
        if (state_ != State::hung) {
            const auto left = std::max(ready_at_ - Clock::now(), Clock::duration(1));
            when.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
            when.it_value.tv_nsec = (left % std::chrono::seconds(1)).count();
        }
        timerfd_settime(timer_, 0, &when, nullptr);
        *handles = {.fd = timer_, .events = POLLIN, .revents = 0};
    }
    *count = 1;
    return TSS2_RC_SUCCESS;
}

} // namespace probe
