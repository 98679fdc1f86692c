#pragma once
// Signing keys that a TPM makes from a hierarchy's seed: made once, then kept outside the TPM as saved
// contexts. A chip takes seconds, for RSA up to a minute, to make one, and no slot is held meanwhile.

#include "keyfile/key_file.hpp"
#include "tpm/handle.hpp"
#include "tpm/session.hpp"
#include "tpm/templates.hpp"

#include <vector>

namespace sshtpm::tpm {

class Device;
class Parents;

class SavedPrimaries {
  public:
    /// The key, loaded: from its context (TPM2_ContextLoad); where the TPM does not take that, as after a
    /// reset, or has none, made again (TPM2_CreatePrimary) and saved (TPM2_ContextSave).
    /// @param key of KeyKind::primary.
    /// @throws Error(foreign_key) when the hierarchy has another seed than when the key was first made, and
    ///     as Parents::create_in does.
    Handle load(const Context& context, const Parents& parents, const keyfile::KeyFile& key);

    /// A new primary key, saved and loaded nowhere. @throws Error as Parents::create_in does.
    keyfile::KeyFile make(const Context& context, const Parents& parents, TPM2_HANDLE hierarchy,
                          const KeyAlgorithm& algorithm);

  private:
    /// A context is no secret: the TPM encrypts it with a key of its own, and takes it until its next reset.
    struct Saved {
        Bytes public_area; ///< marshalled: which key it is
        TPMS_CONTEXT context;
    };

    Handle restore(const Context& context, ByteView public_area);
    void save(const Context& context, Bytes public_area, ESYS_TR object);

    std::vector<Saved> saved_;
};

/// A key of the template `hierarchy_key`, with its public half; its first use costs no TPM2_CreatePrimary.
/// Busy, full and forgetful TPMs are retried. No description yet. Blocking: for the thread that owns the
/// device, within a turn.
/// @throws Error(auth) for a hierarchy with a password that was not given or cannot be, Error(tpm) for a
///     hierarchy that is disabled.
keyfile::KeyFile make_primary_key(Device& device, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm);

} // namespace sshtpm::tpm
