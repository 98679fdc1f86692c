#pragma once
// Key files of ssh-tpm-agent 0.1 and 0.2, before it used the TSS2 PRIVATE KEY format.

#include "keyfile/key_file.hpp"

namespace sshtpm::keyfile {

/// True when the first PEM block of the text is a "TPM EC PRIVATE KEY" (0.1) or "TPM PRIVATE KEY" (0.2).
bool is_legacy(std::string_view text);

/// 0.1: u8 version, u8 PIN status, TPM2B_PUBLIC, TPM2B_PRIVATE. 0.2: u8 version, u8 PIN status, u16 algorithm
/// (TPM2_ALG_ECDSA or TPM2_ALG_RSA), TPM2B_PUBLIC, TPM2B_PRIVATE, and the rest is the comment.
/// The field `legacy` of the result is the release, `parent` is the owner. @throws Error(malformed |
/// unsupported)
KeyFile parse_legacy(std::string_view text);

/// The inverse, in the format of the key's release: for a changed PIN or comment.
/// @throws Error(unsupported) for a comment in a key of 0.1, which has no place for one.
std::string to_legacy_pem(const KeyFile& key);

} // namespace sshtpm::keyfile
