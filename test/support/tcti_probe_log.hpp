#pragma once
// What the probe writes down of each exchange.

#include "tcti_probe_message.hpp"

#include <string>

#include <tss2/tss2_common.h>

namespace probe {

/// One command and what came of it.
struct Exchange {
    Buffer command;
    Buffer response; ///< empty when `rc`, of the TCTI, is a failure
    TSS2_RC rc = TSS2_RC_SUCCESS;
};

class AppendedFile {
  public:
    explicit AppendedFile(const std::string& path);
    AppendedFile(const AppendedFile&) = delete;
    AppendedFile& operator=(const AppendedFile&) = delete;
    ~AppendedFile();

    bool is_open() const { return fd_ >= 0; }
    void append(const void* data, std::size_t size) const;

  private:
    int fd_;
};

/// A line for it: "TPM2_Sign 0x00000000".
std::string line_of(const Exchange& exchange);

} // namespace probe
