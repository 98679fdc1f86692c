#pragma once
// A TPM key as it lies in a file: the TSS2 PRIVATE KEY format ("ASN.1 Specification for TPM 2.0 Key Files",
// draft-bottomley-tpm2-keys), as a plain struct.

#include "base/bytes.hpp"

#include <string>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// One element of a policy: a command and its parameters, marshalled.
struct PolicyCommand {
    TPM2_CC command_code = 0;
    Bytes parameters;

    friend bool operator==(const PolicyCommand&, const PolicyCommand&) = default;
};

struct AuthPolicy {
    std::string name; ///< may be empty
    std::vector<PolicyCommand> policy;

    friend bool operator==(const AuthPolicy&, const AuthPolicy&) = default;
};

enum class KeyKind {
    loadable,
    importable,
    sealed,
    primary, ///< in no file: the TPM makes it anew from the seed of the hierarchy `parent`
};

/// Releases of ssh-tpm-agent whose files have a format of their own (legacy.hpp) and hang under the storage
/// keys of the TCG templates with zero-filled unique fields: ECC for ECDSA keys, RSA for RSA keys.
enum class Legacy { none, release_0_1, release_0_2 };

struct KeyFile {
    Legacy legacy = Legacy::none;
    KeyKind kind = KeyKind::loadable;
    /// True: no PIN. Files that do not say (the field is optional) mean "has a PIN", by the draft.
    bool empty_auth = false;
    std::vector<PolicyCommand> policy;
    Bytes secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled; only in importable keys
    std::vector<AuthPolicy> auth_policies;
    std::string description;            ///< the comment; UTF-8 without control characters
    bool rsa_parent = false;            ///< the parent is the RSA storage primary, not the ECC one
    TPM2_HANDLE parent = TPM2_RH_OWNER; ///< a hierarchy or a persistent handle
    TPMT_PUBLIC public_area{};
    TPM2B_PRIVATE private_area{};
};

/// Key files are a few hundred bytes; nobody's is larger than this.
inline constexpr std::size_t max_file_size = std::size_t{64} * 1024;

/// The file from its text: text in front of the PEM block may hold a line "Comment: …" (RFC 7468 calls
/// it explanatory text), which is the description where the block has none.
/// @throws Error(malformed | unsupported), the message saying what is wrong; never for lack of a TPM.
KeyFile parse_pem(std::string_view text);
/// The same for a file of any format that is known: TSS2 PRIVATE KEY, or those of legacy.hpp.
KeyFile parse_key_file(std::string_view text);
/// The DER inside.
KeyFile parse_der(ByteView der);

/// The inverse of parse_pem, description as explanatory text: tpm2-openssl (1.1 to 1.3 at least) cannot
/// read a block with the description field.
std::string to_pem(const KeyFile& key);
/// The inverse of parse_key_file, in the format that the key was read in.
std::string to_key_file(const KeyFile& key);
/// The same for a file that holds `before`: the lines in front of its PEM block stay, but for the one with
/// the description. @throws Error(malformed) as parse_key_file does, and for several descriptions.
std::string to_key_file(const KeyFile& key, std::string_view before);
/// DER of all fields but the description.
Bytes to_der(const KeyFile& key);

} // namespace sshtpm::keyfile
