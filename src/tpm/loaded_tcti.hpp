#pragma once
// A TCTI of tpm2-tss's loader, with deadlines put upon it.

#include "tpm/transport.hpp"

namespace sshtpm::tpm {

class LoadedTcti final : public Transport {
  public:
    /// Null when the loader cannot connect. The device TCTI gives a TPM 1 s for the probe it makes here.
    static std::unique_ptr<LoadedTcti> open(const std::string& conf);
    ~LoadedTcti() override;

    TSS2_RC send(ByteView command, Deadline deadline) noexcept override;
    Received receive(std::span<std::uint8_t> room, Deadline deadline) noexcept override;

  private:
    explicit LoadedTcti(TSS2_TCTI_CONTEXT* tcti) noexcept : tcti_(tcti) {}

    TSS2_TCTI_CONTEXT* tcti_;
};

} // namespace sshtpm::tpm
