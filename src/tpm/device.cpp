#include "tpm/device.hpp"

#include "tpm/rc.hpp"

namespace sshtpm::tpm {

Device::Device(const Target& target) : tcti_(target.tcti) {
    if (!target.emulator_state.empty()) {
        emulator_.emplace(Emulator::join(target.emulator_state));
        tcti_ = emulator_->tcti();
    }
    const auto turn = take_turn(); // opens it
}

void Device::open() {
    keys_.reset();
    context_.reset();
    context_.emplace(tcti_);
    keys_.emplace(*context_, primaries_);
    keys_->parents().use_owner_password(owner_password_);
    broken_ = false;
}

void Device::use_owner_password(Auth password) {
    owner_password_ = std::move(password);
    keys_->parents().use_owner_password(owner_password_);
}

bool Device::connection_failed(const Error& error) {
    if (!error.tpm_rc())
        return false;
    const auto rc = *error.tpm_rc();
    // A handle that is not there: the persistent storage key was evicted, or the TPM was reset.
    return !is_tpm_code(rc) || rc == TPM2_RC_HANDLE || rc == TPM2_RC_REFERENCE_H0 || rc == TPM2_RC_INITIALIZE;
}

Device::Turn::Turn(Device& device) : device_(device) {
    if (device_.emulator_)
        emulator_turn_.emplace(device_.emulator_->take_turn());
    if (device_.broken_)
        device_.open();
}

Device::Turn::~Turn() {
    if (emulator_turn_ && device_.keys_)
        device_.keys_->flush();
}

} // namespace sshtpm::tpm
