// SPDX-License-Identifier: MIT
#pragma once
// A key file: the TSS2 PRIVATE KEY format ("ASN.1 Specification for TPM 2.0 Key Files",
// draft-bottomley-tpm2-keys), and the formats of ssh-tpm-agent 0.1 and 0.2.

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
    primary, ///< not in a file: the TPM makes it from the seed of the hierarchy `parent`
};

/// Releases of ssh-tpm-agent with their own format (legacy.cpp). The parent of their keys is the TCG's
/// storage key, but with `unique` filled with zeros: ECC for ECDSA keys, RSA for RSA keys.
enum class Legacy { none, release_0_1, release_0_2 };

struct KeyFile {
    Legacy legacy = Legacy::none;
    KeyKind kind = KeyKind::loadable;
    /// True for a key without a PIN. By the draft, a key file without this field has a PIN.
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

/// In bytes. A usual key file has a few hundred.
inline constexpr std::size_t max_file_size = std::size_t{64} * 1024;

inline constexpr std::string_view pem_label = "TSS2 PRIVATE KEY";
/// The beginning of the line with the description, in front of the PEM block.
inline constexpr std::string_view comment_prefix = "Comment: ";

/// In bytes. A longer description would fill the terminal in a list of keys.
inline constexpr std::size_t longest_description = 1024;

/// Checks a text of a key file that is shown to a person: the comment, the name of a policy.
/// @throws Error(malformed) for text that is too long or not UTF-8, that could move the cursor or hide or
///     reorder letters, or that a reader could take for the first line of a PEM block
void check_description(std::string_view text);

struct SplitText {
    std::vector<std::string> comments; ///< of the lines "Comment: …"
    std::string rest;                  ///< the other lines
};

/// Takes the lines "Comment: …" out of the text in front of a key's block; those inside other blocks stay.
SplitText take_comments(std::string_view text);

/// Parses a TSS2 PRIVATE KEY. A line "Comment: …" in front of the PEM block is the description if the block
/// has none. @throws Error(malformed | unsupported)
KeyFile parse_pem(std::string_view text);
/// Parses a key file of any format.
KeyFile parse_key_file(std::string_view text);
/// Parses the DER inside a PEM block.
KeyFile parse_der(ByteView der);

/// Writes a key file that parse_pem reads. The description becomes a line in front of the block, because
/// tpm2-openssl (1.1 to 1.3 at least) cannot read a block with the description field.
std::string to_pem(KeyFile key);
/// The inverse of parse_key_file, in the format in which the key was read.
/// @throws Error(unsupported) for a description in a key of 0.1, whose format has no field for it
std::string to_key_file(const KeyFile& key);
/// Writes the key for a file with the content `before`: the text around its PEM block stays, except the
/// description.
/// @throws Error(malformed) as parse_key_file does, and for several descriptions
std::string to_key_file(const KeyFile& key, std::string_view before);
/// The inverse of parse_der, with the description.
Bytes to_der(const KeyFile& key);

/// True if the first PEM block of the text is a "TPM EC PRIVATE KEY" (0.1) or "TPM PRIVATE KEY" (0.2).
bool is_legacy(std::string_view text);

} // namespace sshtpm::keyfile
