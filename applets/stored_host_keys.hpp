// SPDX-License-Identifier: MIT
#pragma once
// The host keys in /etc/ssh, tried with the TPM that is there: which of them --renew has to replace.

#include "applets/keygen_files.hpp"
#include "identity/identity.hpp"
#include "ssh/public_key.hpp"
#include "tpm/known_tpms.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/tpm.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::applets {

/// A host key in a key file, or the key of a hierarchy, which has only a .pub file.
struct StoredHostKey {
    enum class Kind { in_file, damaged, derived };

    identity::HostKeyType type;
    KeyPaths paths;
    std::filesystem::path certificate;
    Kind kind = Kind::in_file;
    /// That of the key file; of a derived key: what the TPM makes now. Nothing if the key file is damaged.
    std::optional<identity::Identity> identity = {};
    /// That of the .pub file; read only if the key file is damaged, and for a derived key.
    std::optional<ssh::PublicKey> former = {};
    std::string comment = {}; ///< of the .pub file, or root@host
    std::string damage = {};  ///< why the key file cannot be used
    bool is_new = false;      ///< by --renew, or not served yet: to be published

    bool is_derived() const { return kind == Kind::derived; }
    /// Of a key in a file: the parent that a new one gets.
    tpm::ParentName new_parent() const;
    /// The file to name in messages.
    std::string shown() const;
    /// "256 SHA256:… root@host (ECDSA)", of the key that clients know; empty if nothing tells it.
    std::string former_line() const;
};

/// The files of the host keys that have a .pub file alone: keys of a hierarchy, or keys whose files were
/// lost.
std::vector<KeyPaths> host_keys_without_file(const std::filesystem::path& folder);

/// The hint for lost key files in /etc/ssh: ssh-tpm-genkeys.service makes other keys once their .pub files
/// are gone.
std::string replace_lost_keys();

/// "256 SHA256:… root@host (ECDSA)"
std::string key_line(const ssh::PublicKey& key, const std::string& comment);

/// A storage key of the TPM.
struct PresentParent {
    tpm::KnownParent present;
    std::optional<Bytes> known; ///< its known Name

    bool is_known() const { return known && equal(*known, present.name); }
    bool is_other() const { return known && !is_known(); }
};

struct HostKeyTrial {
    std::vector<StoredHostKey> alive, dead;
    std::vector<PresentParent> parents;
    bool any_derived = false, any_in_file = false;
    int status = 0; ///< 1 if a key can be neither used nor renewed

    bool has_other_parent() const;
};

/// Looks, and changes nothing. Reports the keys that can be neither used nor renewed. The TPM is opened
/// without the known TPMs, which would refuse another one. No PIN is sent.
/// @param hierarchy of the keys that have no key file; nothing if it is not known
/// @throws Error if the TPM cannot be used
HostKeyTrial try_host_keys(const std::filesystem::path& folder,
                           const std::optional<tpm::Hierarchy>& hierarchy, tpm::Target target,
                           const tpm::Auth& owner_password);

} // namespace sshtpm::applets
