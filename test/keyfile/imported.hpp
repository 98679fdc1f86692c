#pragma once
// Wrapped keys in a TPM: TPM2_Import, TPM2_Load and TPM2_Sign by ESYS alone, without the program's own room
// for it.

#include "base/secret.hpp"
#include "keyfile/key_file.hpp"
#include "ssh/private_key.hpp"
#include "ssh/signature.hpp"

#include <optional>
#include <string>

#include <tss2/tss2_esys.h>

namespace imported {

/// A connection with a storage key in the owner hierarchy, made from the template of the TCG.
class Tpm {
  public:
    explicit Tpm(const std::string& tcti);
    Tpm(const Tpm&) = delete;
    Tpm& operator=(const Tpm&) = delete;
    ~Tpm();

    /// The storage key's public area.
    const TPMT_PUBLIC& storage_key() const { return storage_key_; }

    /// Imports and loads. @returns the response code of the first command that fails; the key is then not
    /// loaded.
    TSS2_RC load(const sshtpm::keyfile::KeyFile& key);
    /// A signature by the loaded key over a digest; nothing when the TPM refuses.
    std::optional<sshtpm::ssh::RawSignature> sign(const sshtpm::ssh::PublicKey& key, std::string_view pin,
                                                  sshtpm::ByteView digest);
    void flush();

  private:
    TSS2_TCTI_CONTEXT* tcti_ = nullptr;
    ESYS_CONTEXT* esys_ = nullptr;
    ESYS_TR parent_ = ESYS_TR_NONE;
    ESYS_TR key_ = ESYS_TR_NONE;
    TPMT_PUBLIC storage_key_{};
};

/// The public area that a software key gets: sign-only, neither fixedTPM nor fixedParent.
TPMT_PUBLIC public_area(const sshtpm::ssh::PublicKey& key);

/// Wraps, imports, loads, signs with the PIN, checks the signature: true when all of it works.
bool signs_after_import(Tpm& tpm, const sshtpm::ssh::PrivateKey& key, std::string_view pin);

} // namespace imported
