#include "tpm/device.hpp"

namespace sshtpm::tpm {

Device::Device(const Target& target) {
    if (!target.emulator_state.empty())
        emulator_.emplace(Emulator::join(target.emulator_state));
    const auto turn = take_turn();
    context_.emplace(emulator_ ? emulator_->tcti() : target.tcti);
    keys_.emplace(*context_);
}

Device::Turn::Turn(Device& device) : device_(device) {
    if (device_.emulator_)
        emulator_turn_.emplace(device_.emulator_->take_turn());
}

Device::Turn::~Turn() {
    if (emulator_turn_ && device_.keys_)
        device_.keys_->flush();
}

} // namespace sshtpm::tpm
