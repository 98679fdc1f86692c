// SPDX-License-Identifier: MIT
#pragma once
// Wraps an existing key for a TPM's storage key, in software. This is the duplication of TPM 2.0 Part 1,
// clause 23.3 (outer wrapper only), which TPM2_Import undoes.

#include "base/secret.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/outer_wrapper.hpp"

#include <string_view>

namespace sshtpm::keyfile {

/// The templates of the TCG's standard storage keys, ECC P-256 and RSA 2048, without their public keys: "TCG
/// TPM v2.0 Provisioning Guidance", SRK.
/// @param type TPM2_ALG_ECC or TPM2_ALG_RSA
TPMT_PUBLIC standard_storage_key(TPMI_ALG_PUBLIC type);

/// The command that writes the public half of the machine's standard storage key to a file for parse_parent,
/// for hints. With other options it would write another key, and the PEM file does not show the difference.
inline constexpr std::string_view parent_command =
    "`tpm2_createprimary -C o -G ecc256:aes128cfb -a "
    "'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt' -f pem -o PARENT.pem` "
    "(-G rsa2048:aes128cfb if that TPM has no ECC)";

/// Parses a storage key from a file: a TPM2B_PUBLIC (tpm2_readpublic -f tss), or a "PUBLIC KEY" in PEM. The
/// latter must be a standard storage key, as parent_command writes it.
/// @returns its public area
/// @throws Error(malformed | unsupported) as require_storage_key does, and for any other file
TPMT_PUBLIC parse_parent(ByteView file);

/// Makes an importable key file. The caller may set a description and a parent handle.
/// @param parent a storage key
/// @param key the public area of the key, nameAlg SHA-256, neither fixedTPM nor fixedParent
/// @param sensitive an ECC scalar in the curve's width, or one RSA prime in half the modulus' width
/// @param auth the auth value; empty for none
/// @throws Error as require_storage_key does, and Error(malformed) for a parent that is no key
KeyFile wrap(const TPMT_PUBLIC& parent, const TPMT_PUBLIC& key, const Secret& sensitive, ByteView auth);

} // namespace sshtpm::keyfile
