#pragma once
// The options and variables that say which TPM, the same for every applet.

#include "cli/options.hpp"
#include "tpm/target.hpp"

namespace sshtpm::applets {

class TpmOptions {
  public:
    /// Adds --tcti and --swtpm to an applet's table. This object must outlive the parsing.
    void add_to(std::vector<cli::Option>& options);
    /// @throws Error(usage)
    tpm::Target target() const;

  private:
    std::optional<std::string> tcti_;
    bool swtpm_ = false;
};

} // namespace sshtpm::applets
