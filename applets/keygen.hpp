#pragma once
// What the modes of keygen share: the options, as they were given, and the entry of each mode.

#include "base/secret.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/tpm.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sshtpm::applets {

struct KeygenOptions {
    std::optional<std::string> type;                          ///< -t
    std::optional<unsigned> bits;                             ///< -b
    std::optional<std::string> file;                          ///< -f
    std::optional<std::string> comment;                       ///< -C
    std::optional<Secret> pin;                                ///< -N
    std::optional<Secret> old_pin;                            ///< -P
    bool quiet = false;                                       ///< -q
    bool randomart = false;                                   ///< -v
    ssh::FingerprintHash hash = ssh::FingerprintHash::sha256; ///< -E
    std::string source;                                       ///< --import FILE, --wrap KEY
    std::string wrap_with;                                    ///< --wrap-with PARENT
    std::optional<TPM2_HANDLE> parent;                        ///< --parent-handle
    std::optional<tpm::Hierarchy> hierarchy;                  ///< --hierarchy
    /// Opens the TPM, with the owner password where -o asks for it: called only by modes that need one.
    std::function<std::unique_ptr<tpm::Tpm>()> open_device;

    TPM2_HANDLE parent_or_owner() const { return parent.value_or(TPM2_RH_OWNER); }
};

// Each @returns the exit status.
int keygen_create(const KeygenOptions& options);
int keygen_fingerprint(const KeygenOptions& options);    ///< -l
int keygen_print_public(const KeygenOptions& options);   ///< -y
int keygen_change_pin(const KeygenOptions& options);     ///< -p
int keygen_change_comment(const KeygenOptions& options); ///< -c
int keygen_host_keys(const KeygenOptions& options);      ///< -A
int keygen_import(const KeygenOptions& options);         ///< --import
int keygen_wrap(const KeygenOptions& options);           ///< --wrap
int keygen_supported(const KeygenOptions& options);      ///< --supported

} // namespace sshtpm::applets
