#include "tpm/device.hpp"

#include "tpm/provision.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"

#include <algorithm>
#include <array>

namespace sshtpm::tpm {

namespace {

/// What a sound TPM may say to a request that it cannot serve: the connection and the handles stay good.
constexpr std::array refusals{TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT, TPM2_RC_INTEGRITY};

/// Every other error of the TPM's, and all of ESYS's, may mean that the two do not know the same any more: a
/// handle that is gone, a session whose nonce has rolled on one side only. Opening anew costs milliseconds; a
/// stale session would have the right PIN counted as a wrong one.
bool leaves_all_sound(const Error& error) {
    if (!error.tpm_rc())
        return error.code() != Errc::malformed;
    const auto code = *error.tpm_rc();
    const auto remedy = remedy_for(code);
    return remedy == Remedy::wait || remedy == Remedy::make_room ||
           std::ranges::find(refusals, code) != refusals.end();
}

} // namespace

Device::Device(const Target& target)
    : tcti_(target.tcti),
      // The emulator's socket has another path in each process; its state folder has a file of its own.
      known_tpms_(target.known_tpms, target.emulator_state.empty() ? target.tcti : "emulator") {
    if (!target.emulator_state.empty()) {
        emulator_.emplace(Emulator::join(target.emulator_state));
        tcti_ = emulator_->tcti();
    }
    const auto turn = take_turn(); // opens it
}

void Device::open() {
    const bool anew = context_.has_value();
    const bool lost_before = context_ && context_->loss();
    if (keys_)
        keys_->give_back(Remedy::reload); // what is still there, unless the connection is lost
    keys_.reset();
    note_loss();
    const auto lost_now = context_ && !lost_before ? context_->loss() : std::nullopt;
    context_.reset();
    if (lost_now) // a second deadline would be too much for one request
        throw lost_now->error();
    try { // caught to say what was lost
        context_.emplace(tcti_);
        // What a lost connection has left in a TPM its resource manager flushes; the emulator has none, and
        // it is this process's turn.
        if (anew && emulator_)
            flush_leftovers(*context_);
        open_keys();
    } catch (const Error& error) {
        throw judged(error);
    }
    broken_ = false;
}

void Device::open_keys() {
    try { // caught to start an emulator that was reset. Of a real TPM that is the firmware's and the kernel's
          // affair: whoever else starts it spoils the measurements that others rely on.
        keys_.emplace(*context_, primaries_);
    } catch (const Error& error) {
        if (!emulator_ || error.tpm_rc() != TPM2_RC_INITIALIZE)
            throw;
        start_up(*context_);
        keys_.emplace(*context_, primaries_);
    }
    keys_->parents().use_owner_password(owner_password_);
    keys_->parents().use_known_tpms(known_tpms_);
}

void Device::use_owner_password(Auth password) {
    owner_password_ = std::move(password);
    if (keys_)
        keys_->parents().use_owner_password(owner_password_);
}

std::optional<Device::Clock::time_point> Device::rest(Clock::duration limit) noexcept {
    if (!keys_)
        return std::nullopt;
    const auto stays_since = keys_->rest(Clock::now() - limit);
    note_loss();
    if (!stays_since)
        return std::nullopt;
    return *stays_since + limit;
}

void Device::note_loss() {
    if (!context_ || !context_->loss())
        return;
    broken_ = true;
    if (context_->loss()->kind == Loss::Kind::deadline)
        hang_ = context_->loss();
}

Error Device::judged(const Error& error) {
    broken_ = broken_ || !leaves_all_sound(error);
    note_loss();
    return context_ && context_->loss() ? context_->loss()->error() : error;
}

void Device::fail_if_hung_since(Clock::time_point waiting_since) const {
    if (hang_ && hang_->noticed >= waiting_since)
        throw hang_->error();
    if (missed_turn_ && missed_turn_->noticed >= waiting_since)
        throw Error(missed_turn_->error);
}

Emulator::Turn Device::take_emulators_turn() {
    try { // caught to be told to those that wait behind this one as well
        return emulator_->take_turn();
    } catch (const Error& error) {
        missed_turn_ = MissedTurn{.error = error, .noticed = Clock::now()};
        throw;
    }
}

Device::Turn::Turn(Device& device) : device_(device) {
    if (device_.emulator_)
        emulator_turn_.emplace(device_.take_emulators_turn());
    if (device_.broken_)
        device_.open();
}

Device::Turn::~Turn() {
    if (emulator_turn_ && device_.keys_)
        device_.keys_->flush();
    device_.note_loss();
    if (emulator_turn_ && device_.broken_)
        emulator_turn_->leave_uncleared();
}

} // namespace sshtpm::tpm
