// SPDX-License-Identifier: MIT
#include "tpm/tpm.hpp"

#include "tpm/rc.hpp"
#include "tpm/transport.hpp"

#include <algorithm>
#include <array>
#include <thread>

namespace sshtpm::tpm {

namespace {

/// After these codes the connection and the handles are still good.
constexpr std::array refusals{TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT, TPM2_RC_INTEGRITY};

/// After any other error ESYS and the TPM may differ about a handle or about a session's nonce, and the right
/// PIN would be counted as a wrong one. Opening the TPM again costs milliseconds.
bool leaves_all_sound(const Error& error) {
    if (!error.tpm_rc())
        return error.code() != Errc::malformed;
    const auto code = *error.tpm_rc();
    const auto remedy = remedy_for(code);
    return remedy == Remedy::make_room || std::ranges::find(refusals, code) != refusals.end();
}

} // namespace

KnownTpms known_tpms_of(const Target& target) {
    // The emulator's socket path differs in each process, and each state folder has its own known_tpms.
    return {target.known_tpms, target.emulator_state.empty() ? target.tcti : "emulator",
            target.known_tpms_use};
}

Tpm::Tpm(const Target& target) : tcti_(target.tcti), known_tpms_(known_tpms_of(target)) {
    if (!target.emulator_state.empty()) {
        emulator_.emplace(target.emulator_state, target.emulator_starter);
        tcti_ = emulator_->tcti();
    }
}

void Tpm::open() {
    const bool lost_before = context_ && context_->loss();
    if (keys_)
        keys_->flush_remains(); // unless the connection is lost
    keys_.reset();
    note_loss();
    const auto lost_now = context_ && !lost_before ? context_->loss() : std::nullopt;
    context_.reset();
    if (lost_now) // one request must not wait for two deadlines
        throw lost_now->error();
    context_.emplace(tcti_);
    if (unclean_emulator_)
        prepare_emulator(*context_);
    keys_.emplace(*context_, known_tpms_, owner_password_, primaries_);
    broken_ = unclean_emulator_ = false;
}

void Tpm::require_present() {
    if (is_open() || emulator_)
        return;
    note_loss();
    keys_.reset(); // the lost connection fails every command at once
    context_.reset();
    open_transport(tcti_);
}

bool Tpm::made_ready_for_another_try(const Error& error, Retries& retries) {
    constexpr std::chrono::milliseconds pause{10};
    switch (error.tpm_rc() ? remedy_for(*error.tpm_rc()) : Remedy::none) {
    case Remedy::make_room:
        if (++retries.full > 3)
            return false;
        if (keys_)
            keys_->flush();
        std::this_thread::sleep_for(pause * (1 << retries.full)); // there is no event to wait for
        return true;
    case Remedy::reload:
        if (++retries.reloads > 1)
            return false;
        if (keys_)
            keys_->flush_remains();
        return true;
    default:
        if (!emulator_ || error.tpm_rc() != TPM2_RC_INITIALIZE || ++retries.reloads > 1)
            return false;
        broken_ = unclean_emulator_ = true; // another program has reset it
        return true;
    }
}

std::optional<Tpm::Clock::time_point> Tpm::rest(Clock::duration limit) noexcept {
    if (!keys_)
        return std::nullopt;
    context_->renew_patience();
    const auto stays_since = keys_->rest(Clock::now() - limit);
    note_loss();
    if (!stays_since)
        return std::nullopt;
    return *stays_since + limit;
}

void Tpm::note_loss() {
    if (!context_ || !context_->loss())
        return;
    broken_ = true;
    if (context_->loss()->kind == Loss::Kind::deadline)
        hang_ = Hang{.error = context_->loss()->error(), .noticed = context_->loss()->noticed};
}

Error Tpm::judged(const Error& error) {
    broken_ = broken_ || !leaves_all_sound(error);
    note_loss();
    return context_ && context_->loss() ? context_->loss()->error() : error;
}

void Tpm::begin_job(Clock::time_point waiting_since) {
    if (hang_ && hang_->noticed >= waiting_since)
        throw Error(hang_->error);
    if (context_)
        context_->renew_patience();
    try { // caught so that the waiting jobs fail at once
        if (emulator_ && emulator_->begin_turn())
            broken_ = unclean_emulator_ = true;
    } catch (const Error& error) {
        hang_ = Hang{.error = error, .noticed = Clock::now()};
        throw;
    }
}

void Tpm::end_job() noexcept {
    if (emulator_ && keys_)
        keys_->flush();
    note_loss();
    if (emulator_)
        emulator_->end_turn(!broken_);
}

} // namespace sshtpm::tpm
