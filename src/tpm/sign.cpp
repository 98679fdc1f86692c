#include "tpm/sign.hpp"

#include "tpm/context.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

SignResult sign(const Context& context, ESYS_TR key, TPMI_ALG_PUBLIC type, ESYS_TR session,
                TPMI_ALG_HASH hash, ByteView digest) {
    const auto tpm_digest = tpm2b_of<TPM2B_DIGEST>(digest);
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = type == TPM2_ALG_ECC ? TPM2_ALG_ECDSA : TPM2_ALG_RSASSA;
    scheme.details.any.hashAlg = hash;
    // The keys are not restricted, so the TPM takes digests that it has not made: a null ticket says so.
    const TPMT_TK_HASHCHECK no_ticket{.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL, .digest = {}};

    TPMT_SIGNATURE* signature = nullptr;
    const auto rc = Esys_Sign(context.esys(), key, session, ESYS_TR_NONE, ESYS_TR_NONE, &tpm_digest, &scheme,
                              &no_ticket, &signature);
    const EsysOutput<TPMT_SIGNATURE> owner(signature);
    // AUTH_FAIL of a key under dictionary-attack protection, BAD_AUTH of one that is exempt (Part 1, 19.8).
    const auto code =
        check_expecting("Esys_Sign", rc, {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT});
    if (code == TPM2_RC_LOCKOUT)
        throw lockout_error(context, "Esys_Sign");
    if (code != TSS2_RC_SUCCESS)
        return WrongAuth{};
    return *owner;
}

} // namespace sshtpm::tpm
