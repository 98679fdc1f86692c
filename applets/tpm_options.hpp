// SPDX-License-Identifier: MIT
#pragma once
// Options and variables of several applets: the TPM, hierarchies, parents, hashes.

#include "cli/options.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/tpm.hpp"

#include <memory>

namespace sshtpm::applets {

/// Takes SSH_TPM_AGENT_OWNER_PASSWORD out of the environment, for TpmOptions::owner_password. Call it before
/// any program is started, but after fork_to_background: the memory of a Secret is zeroed in a forked child.
void take_owner_password();

/// The same for a password from elsewhere, which takes precedence. Call it later than take_owner_password.
void give_owner_password(Secret password);

class TpmOptions {
  public:
    /// Adds --tcti, --swtpm, -o and --owner-password-file to an applet's table, for the modes that use the
    /// TPM. This object must outlive the parsing.
    void add_to(std::vector<cli::Option>& options, cli::Modes modes);
    /// Adds --tcti and --swtpm alone, for an applet that uses no password.
    void add_target_to(std::vector<cli::Option>& options, cli::Modes modes);

    /// The file of known TPMs is that of SSH_TPM_KNOWN_TPMS, if it is set, for a unit that uses host keys.
    /// @param host_keys not empty: the folder of host keys, whose file of known TPMs is used instead
    /// @throws Error(usage)
    tpm::Target target(const std::filesystem::path& host_keys = {}) const;
    /// Whether the TPM may be reached over the network. @throws Error(usage)
    bool may_use_network() const;
    const std::optional<std::string>& owner_password_file() const noexcept { return owner_password_file_; }
    /// For give_owner_password. @returns nothing without --owner-password-file
    /// @throws Error as os::read_secret_line
    std::optional<Secret> read_owner_password_file() const;
    /// The password that was taken or given, once; else -o asks for it; else null.
    tpm::Auth owner_password() const;
    /// Whether owner_password would ask a person.
    bool asks_for_owner_password() const;
    /// Opens the target with the owner password. @param host_keys as for target
    std::unique_ptr<tpm::Tpm> open_tpm(const std::filesystem::path& host_keys = {}) const;

  private:
    /// Nothing for the emulator.
    std::optional<std::string> chosen_tcti() const;

    std::optional<std::string> tcti_;
    bool swtpm_ = false;
    bool ask_owner_password_ = false;
    std::optional<std::string> owner_password_file_;
};

/// endorsement/e, owner/o, platform/p, null/n. @throws Error(usage), listing them.
tpm::Hierarchy parse_hierarchy(std::string_view word);

/// owner/o, endorsement/e, platform/p, null/n, or a persistent handle 0x81000000..0x81FFFFFF.
/// @throws Error(usage), listing them.
TPM2_HANDLE parse_parent_handle(std::string_view word);

/// -E: sha256 or md5. @throws Error(usage), listing them.
ssh::FingerprintHash parse_hash(std::string_view word);

} // namespace sshtpm::applets
