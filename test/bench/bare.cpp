// SPDX-License-Identifier: MIT
// bench-bare TCTI ecdsa|rsa: signatures per second with ESYS and nothing around it: the key is loaded, its
// authorization is an empty password, each signature is one TPM2_Sign. What an agent can at best reach.

#include "base/error.hpp"
#include "bench/rate.hpp"
#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/templates.hpp"

#include <cstdio>
#include <string_view>

namespace {

using namespace sshtpm;

/// A primary key of the owner: for TPM2_Sign it makes no difference how a key came into the TPM.
tpm::Handle make_signing_key(const tpm::Context& context, const tpm::KeyAlgorithm& algorithm) {
    const auto area = tpm::signing_key(algorithm, tpm::DictionaryAttack::exempt);
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_data{};
    const TPML_PCR_SELECTION no_pcrs{};
    ESYS_TR key = ESYS_TR_NONE;
    tpm::check("Esys_CreatePrimary", Esys_CreatePrimary(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                                        ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &area, &no_data,
                                                        &no_pcrs, &key, nullptr, nullptr, nullptr, nullptr));
    return tpm::Handle::transient(context, key);
}

void measure(const char* tcti, const tpm::KeyAlgorithm& algorithm) {
    const tpm::Context context(tcti);
    const auto key = make_signing_key(context, algorithm);
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = algorithm.type == TPM2_ALG_ECC ? TPM2_ALG_ECDSA : TPM2_ALG_RSASSA;
    scheme.details.any.hashAlg = TPM2_ALG_SHA256;
    TPM2B_DIGEST digest{};
    digest.size = TPM2_SHA256_DIGEST_SIZE;
    const TPMT_TK_HASHCHECK no_ticket{.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL, .digest = {}};

    bench::serve_rates([&]() -> std::size_t {
        TPMT_SIGNATURE* signature = nullptr;
        tpm::check("Esys_Sign", Esys_Sign(context.esys(), key.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, &digest, &scheme, &no_ticket, &signature));
        Esys_Free(signature);
        return 1;
    });
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: bench-bare TCTI ecdsa|rsa\n", stderr);
        return 2;
    }
    try {
        const tpm::KeyAlgorithm p256, rsa2048{TPM2_ALG_RSA, 0, 2048};
        measure(argv[1], argv[2] == std::string_view("rsa") ? rsa2048 : p256);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench-bare: error: %s\n", error.what());
        return 1;
    }
}
