// SPDX-License-Identifier: MIT
#pragma once
// The options of ssh-tpm-keygen, and the function of each mode.

#include "applets/tpm_options.hpp"
#include "base/secret.hpp"
#include "identity/identity.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/capability.hpp"
#include "tpm/tpm.hpp"

#include <optional>
#include <string>

namespace sshtpm::applets {

/// The argument of -t.
struct KeyType {
    std::string_view name;        ///< "ecdsa" or "rsa"
    std::optional<unsigned> bits; ///< in names such as ecdsa-sha2-nistp384
};

/// Reads ssh-keygen's short names, in either case, and OpenSSH's names for the types of keys and signatures.
/// @throws Error(usage), listing the types.
KeyType parse_key_type(std::string_view word);

/// From -t and -b. @throws Error(usage) with the sizes that exist
tpm::KeyAlgorithm choose_algorithm(const KeyType& type, std::optional<unsigned> bits);

struct KeygenOptions {
    std::optional<KeyType> type;                              ///< -t
    std::optional<unsigned> bits;                             ///< -b
    std::optional<std::string> file;                          ///< -f
    std::optional<std::string> comment;                       ///< -C
    std::optional<Secret> pin;                                ///< -N
    std::optional<Secret> old_pin;                            ///< -P
    std::optional<std::string> pin_file;                      ///< --pin-file, instead of -N
    std::optional<std::string> old_pin_file;                  ///< --old-pin-file, instead of -P
    bool quiet = false;                                       ///< -q
    bool randomart = false;                                   ///< -v
    ssh::FingerprintHash hash = ssh::FingerprintHash::sha256; ///< -E
    std::string source;                                       ///< --import FILE, --wrap KEY
    std::string wrap_with;                                    ///< --wrap-with PARENT
    std::optional<TPM2_HANDLE> parent;                        ///< --parent-handle
    std::optional<tpm::Hierarchy> hierarchy;                  ///< --hierarchy
    bool as_openssh = false;                                  ///< called by the name ssh-keygen
    TpmOptions tpm;

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

// For modes that make or change keys.

/// @throws Error(usage) for a comment that a key file cannot have.
void require_comment(const std::string& comment);

/// Makes a key in the TPM and verifies a signature that it makes.
identity::Identity make_key(tpm::Tpm& tpm, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent);

/// Verifies a signature made with the new PIN. @returns the key with its new PIN
/// @throws Error(auth) if the PIN `before` is wrong
identity::Identity change_pin(tpm::Tpm& tpm, const identity::Identity& identity, const tpm::Auth& before,
                              const tpm::Auth& after);

/// Logs it if the key has got its first PIN, or lost it: whether the TPM counts wrong PINs was decided when
/// the key was made.
void warn_of_protection(const keyfile::KeyFile& key, const tpm::Auth& after);

} // namespace sshtpm::applets
