#include "imported.hpp"

#include "keyfile/wrap.hpp"
#include "ssh/digest.hpp"

#include <algorithm>
#include <stdexcept>

#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

using namespace sshtpm;

namespace imported {

namespace {

void check(TSS2_RC rc, const char* what) {
    if (rc != TSS2_RC_SUCCESS)
        throw std::runtime_error(std::string(what) + ": " + std::to_string(rc));
}

template <class T>
void put(T& tpm2b, ByteView bytes) {
    tpm2b.size = static_cast<UINT16>(bytes.size());
    std::ranges::copy(bytes, tpm2b.buffer);
}

template <class T>
Bytes take(const T& tpm2b) {
    return copy_of(ByteView(tpm2b.buffer).first(tpm2b.size));
}

TPM2B_PUBLIC storage_template() {
    TPM2B_PUBLIC out{};
    auto& area = out.publicArea;
    area.type = TPM2_ALG_ECC;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = 0x30472;
    area.parameters.eccDetail.symmetric = {
        .algorithm = TPM2_ALG_AES, .keyBits = {128}, .mode = {TPM2_ALG_CFB}};
    area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    return out;
}

TPMI_ECC_CURVE curve_of(ssh::KeyType type) {
    return type == ssh::KeyType::ecdsa_p256   ? TPM2_ECC_NIST_P256
           : type == ssh::KeyType::ecdsa_p384 ? TPM2_ECC_NIST_P384
                                              : TPM2_ECC_NIST_P521;
}

TPMI_ALG_HASH hash_of(ssh::Hash hash) {
    return hash == ssh::Hash::sha256   ? TPM2_ALG_SHA256
           : hash == ssh::Hash::sha384 ? TPM2_ALG_SHA384
                                       : TPM2_ALG_SHA512;
}

} // namespace

Tpm::Tpm(const std::string& tcti) {
    check(Tss2_TctiLdr_Initialize(tcti.c_str(), &tcti_), "TCTI");
    check(Esys_Initialize(&esys_, tcti_, nullptr), "Esys_Initialize");
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const auto in_public = storage_template();
    const TPM2B_DATA outside_info{};
    const TPML_PCR_SELECTION pcrs{};
    TPM2B_PUBLIC* area = nullptr;
    check(Esys_CreatePrimary(esys_, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             &sensitive, &in_public, &outside_info, &pcrs, &parent_, &area, nullptr, nullptr,
                             nullptr),
          "Esys_CreatePrimary");
    storage_key_ = area->publicArea;
    Esys_Free(area);
}

Tpm::~Tpm() {
    flush();
    Esys_FlushContext(esys_, parent_);
    Esys_Finalize(&esys_);
    Tss2_TctiLdr_Finalize(&tcti_);
}

void Tpm::flush() {
    if (key_ != ESYS_TR_NONE)
        Esys_FlushContext(esys_, key_);
    key_ = ESYS_TR_NONE;
}

TSS2_RC Tpm::load(const keyfile::KeyFile& key) {
    flush();
    const TPM2B_PUBLIC area{.size = 0, .publicArea = key.public_area};
    TPM2B_ENCRYPTED_SECRET secret{};
    std::size_t offset = 0;
    check(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(key.secret.data(), key.secret.size(), &offset, &secret),
          "secret");
    const TPMT_SYM_DEF_OBJECT no_inner_wrapper{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    TPM2B_PRIVATE* private_area = nullptr;
    if (const auto rc = Esys_Import(esys_, parent_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                    &area, &key.private_area, &secret, &no_inner_wrapper, &private_area))
        return rc;
    const auto rc =
        Esys_Load(esys_, parent_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private_area, &area, &key_);
    Esys_Free(private_area);
    return rc;
}

std::optional<ssh::RawSignature> Tpm::sign(const ssh::PublicKey& key, std::string_view pin, ByteView digest) {
    TPM2B_AUTH auth{};
    put(auth, bytes_of(pin));
    check(Esys_TR_SetAuth(esys_, key_, &auth), "Esys_TR_SetAuth");
    TPM2B_DIGEST in{};
    put(in, digest);
    const bool rsa = key.type() == ssh::KeyType::rsa;
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
    scheme.details.any.hashAlg = hash_of(ssh::info(key.type()).hash);
    const TPMT_TK_HASHCHECK no_ticket{.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL, .digest = {}};
    TPMT_SIGNATURE* signature = nullptr;
    if (Esys_Sign(esys_, key_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &in, &scheme, &no_ticket,
                  &signature) != TSS2_RC_SUCCESS)
        return std::nullopt;
    ssh::RawSignature out = ssh::RsaSignature{take(signature->signature.rsassa.sig)};
    if (!rsa)
        out = ssh::EcdsaSignature{take(signature->signature.ecdsa.signatureR),
                                  take(signature->signature.ecdsa.signatureS)};
    Esys_Free(signature);
    return out;
}

TPMT_PUBLIC public_area(const ssh::PublicKey& key) {
    TPMT_PUBLIC out{};
    out.nameAlg = TPM2_ALG_SHA256;
    out.objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
    if (const auto* point = std::get_if<ssh::EcdsaPoint>(&key.numbers())) {
        out.type = TPM2_ALG_ECC;
        out.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
        out.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
        out.parameters.eccDetail.curveID = curve_of(key.type());
        out.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
        put(out.unique.ecc.x, point->x);
        put(out.unique.ecc.y, point->y);
    } else {
        out.type = TPM2_ALG_RSA;
        out.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
        out.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
        out.parameters.rsaDetail.keyBits = static_cast<UINT16>(key.bits());
        put(out.unique.rsa, std::get<ssh::RsaNumbers>(key.numbers()).n);
    }
    return out;
}

bool signs_after_import(Tpm& tpm, const ssh::PrivateKey& key, std::string_view pin) {
    const auto area = public_area(key.public_key);
    if (tpm.load(keyfile::wrap(tpm.storage_key(), area, key.sensitive, bytes_of(pin))) != TSS2_RC_SUCCESS)
        return false;
    const auto hash = ssh::info(key.public_key.type()).hash;
    const auto digest = ssh::digest(hash, bytes_of("a message"));
    const auto signature = tpm.sign(key.public_key, pin, digest);
    return signature && ssh::Verifier(key.public_key).verify(hash, digest, *signature);
}

} // namespace imported
