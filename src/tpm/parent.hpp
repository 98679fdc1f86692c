#pragma once
// The storage key that a key file hangs under.

#include "keyfile/key_file.hpp"
#include "tpm/handle.hpp"

#include <optional>

namespace sshtpm::tpm {

class Context;

/// A parent ready for use: loaded for this purpose and flushed with it, or persistent.
struct Parent {
    Handle loaded; ///< empty when the parent is the persistent SRK
    ESYS_TR tr = ESYS_TR_NONE;
};

class Parents {
  public:
    /// Looks once whether the TPM keeps the standard ECC storage key persistent (TPM2_ReadPublic).
    explicit Parents(const Context& context);

    /// The parent that a key file names: a persistent object, or the storage key of a hierarchy; for the
    /// owner hierarchy's ECC key the persistent copy when there is one (no command), else CreatePrimary.
    /// @throws Error
    Parent open(const keyfile::KeyFile& key);

    /// The owner's ECC storage key for making a new key: made by CreatePrimary, so that it is the right one;
    /// the persistent copy serves when its Name is the same, or when the owner hierarchy has a password.
    Parent open_for_creation();

    /// To be called when a Load under the persistent copy failed its integrity check: finds out whether that
    /// copy is the standard storage key at all. If it is not, it is not used any more, and the real one is
    /// returned; otherwise nothing: the key file is from another TPM.
    std::optional<Parent> replace_impostor(const Parent& tried);

  private:
    Parent persistent_object(TPM2_HANDLE handle) const;
    bool is_persistent_copy(const Parent& primary) const;

    const Context& context_;
    Handle persistent_srk_;
};

} // namespace sshtpm::tpm
