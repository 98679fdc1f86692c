// SPDX-License-Identifier: MIT
#include "identity/seal.hpp"

#include "base/error.hpp"
#include "identity/convert.hpp"
#include "identity/sign.hpp"
#include "keyfile/wrap.hpp"
#include "tpm/capability.hpp"
#include "tpm/create.hpp"
#include "tpm/tpm.hpp"

namespace sshtpm::identity {

keyfile::KeyFile wrap_for(const TPMT_PUBLIC& storage_key, const ssh::PrivateKey& key, const tpm::Auth& auth,
                          TPM2_HANDLE parent, const std::string& comment, tpm::RsaUse rsa_use) {
    const auto area = to_public_area(
        key.public_key, auth ? tpm::DictionaryAttack::guarded : tpm::DictionaryAttack::exempt, rsa_use);
    auto wrapped = keyfile::wrap(storage_key, area, key.sensitive, auth ? auth->view() : ByteView());
    wrapped.parent = parent;
    wrapped.rsa_parent = storage_key.type == TPM2_ALG_RSA && parent >> TPM2_HR_SHIFT == TPM2_HT_PERMANENT;
    wrapped.description = comment;
    return wrapped;
}

Identity unwrap(tpm::Tpm& tpm, const keyfile::KeyFile& wrapped, const tpm::Auth& auth,
                const std::string& fallback_comment) {
    // TPM2_Import would refuse it too, but with a code that has other meanings.
    const auto& area = wrapped.public_area;
    tpm::require_support(tpm.context(), to_algorithm(to_public_key(area)));
    if (tpm::rsa_use(tpm.context(), area.type) == tpm::RsaUse::sign_and_decrypt &&
        (area.objectAttributes & TPMA_OBJECT_DECRYPT) == 0)
        throw Error(Errc::unsupported,
                    "this TPM does not have SHA-512, and this RSA key cannot do without it: it was wrapped "
                    "without the attribute decrypt",
                    "wrap it again with `ssh-tpm keygen --wrap`, which sets that attribute");
    auto identity = make_identity(tpm::import_key(tpm, wrapped), fallback_comment);
    prove(tpm, identity, auth);
    return identity;
}

Identity seal(tpm::Tpm& tpm, const ssh::PrivateKey& key, const tpm::Auth& auth, TPM2_HANDLE parent,
              const std::string& comment) {
    const auto storage_key = tpm::storage_key_area(tpm, parent);
    const auto rsa_use = tpm::rsa_use(tpm.context(), to_algorithm(key.public_key).type);
    return unwrap(tpm, wrap_for(storage_key, key, auth, parent, comment, rsa_use), auth, comment);
}

} // namespace sshtpm::identity
