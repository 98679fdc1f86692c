// SPDX-License-Identifier: MIT
#pragma once
// A private swtpm with a device on it whose commands are recorded, and what tests do with keys there.

#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"
#include "tpm/create.hpp"
#include "tpm/tpm.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tpm_test {

enum class Srk { absent, persistent };

class Lab {
  public:
    /// @param missing_hashes as for support::TctiLog
    explicit Lab(Srk srk, std::vector<int> missing_hashes = {});

    support::Swtpm swtpm;
    support::TctiLog log;
    /// A context that the log does not see: for making things ready.
    sshtpm::tpm::Context unseen;
    std::optional<sshtpm::tpm::Tpm> device; ///< recorded; gone after `close`

    /// Ends the device. @returns the handles that are left in the TPM: to be zero.
    std::size_t close();
    /// A new device, as another process would open it: nothing warm.
    sshtpm::tpm::Tpm& reopen();
};

/// Of commands, as TctiLog has them.
using Names = std::vector<std::string>;

sshtpm::tpm::Auth pin(std::string_view text);

/// A key as the agent has it: shared, and warm after its first signature.
using SharedKey = std::shared_ptr<const sshtpm::keyfile::KeyFile>;
SharedKey make(sshtpm::tpm::Tpm& device, const sshtpm::tpm::Auth& auth = nullptr,
               const sshtpm::tpm::KeyAlgorithm& algorithm = {});

/// True for a signature, false for a refused PIN.
bool signs(sshtpm::tpm::Tpm& device, const SharedKey& key, const sshtpm::tpm::Auth& auth = nullptr);
bool signs(sshtpm::tpm::Tpm& device, const sshtpm::keyfile::KeyFile& key,
           const sshtpm::tpm::Auth& auth = nullptr);

/// tpm::create_key and tpm::change_auth, as jobs.
sshtpm::keyfile::KeyFile new_key(sshtpm::tpm::Tpm& device, const sshtpm::tpm::Auth& auth = nullptr,
                                 TPM2_HANDLE parent = TPM2_RH_OWNER,
                                 const sshtpm::tpm::KeyAlgorithm& algorithm = {});
std::optional<sshtpm::keyfile::KeyFile> new_pin(sshtpm::tpm::Tpm& device, const sshtpm::keyfile::KeyFile& key,
                                                const sshtpm::tpm::Auth& old_auth,
                                                const sshtpm::tpm::Auth& new_auth);

/// Makes a key under a primary of the owner hierarchy, with a public area of the caller's.
sshtpm::keyfile::KeyFile create_under(const sshtpm::tpm::Context& context, const TPM2B_PUBLIC& storage_key,
                                      const TPM2B_PUBLIC& key_template, std::string_view auth = "");

/// A persistent object made from this template in the owner hierarchy.
void make_persistent(const sshtpm::tpm::Context& context, const TPM2B_PUBLIC& key_template,
                     TPM2_HANDLE handle);

void set_hierarchy_password(const sshtpm::tpm::Context& context, ESYS_TR hierarchy,
                            std::string_view password);

} // namespace tpm_test
