// SPDX-License-Identifier: MIT
#include "tpm/attestation.hpp"

#include "base/log.hpp"
#include "keyfile/names.hpp"
#include "tpm/capability.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

namespace sshtpm::tpm {

namespace {

constexpr TPM2_HANDLE first_certificate = 0x01c00002; ///< of the profile
constexpr TPM2_HANDLE first_of_chain = 0x01c00100, last_of_chain = 0x01c001ff;

/// Those of the profile's NV indices that the TPM has, in ascending order.
std::vector<TPM2_HANDLE> nv_indices(const Context& context) {
    constexpr UINT32 most = TPM2_MAX_CAP_HANDLES;
    const auto data = read_capability(context, TPM2_CAP_HANDLES, first_certificate, most);
    const auto& handles = data->data.handles;
    std::vector<TPM2_HANDLE> found;
    for (UINT32 i = 0; i < std::min(handles.count, most); ++i)
        if (handles.handle[i] >= first_certificate && handles.handle[i] <= last_of_chain)
            found.push_back(handles.handle[i]);
    return found;
}

/// As many bytes as TPM2_NV_Read gives at a time.
UINT16 nv_piece(const Context& context) {
    constexpr UINT16 usual = 512;
    const auto data = read_capability(context, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1);
    const auto& properties = data->data.tpmProperties;
    if (properties.count != 1 || properties.tpmProperty[0].property != TPM2_PT_NV_BUFFER_MAX)
        return usual;
    return static_cast<UINT16>(
        std::clamp<UINT32>(properties.tpmProperty[0].value, 1, TPM2_MAX_NV_BUFFER_SIZE));
}

/// Reads a whole index by its own auth value, which is empty (the profile's 2.2.1.4). What was read until the
/// TPM refused, if the index was never written, or has another auth value: other programs use this range too.
Bytes read_nv(const Context& context, TPM2_HANDLE number) {
    const auto index = look_up(context, number);
    if (!index)
        throw Error(Errc::tpm,
                    "the TPM lists the NV index " + keyfile::handle_name(number) + " and does not have it");
    TPM2B_NV_PUBLIC* area = nullptr;
    check("Esys_NV_ReadPublic", Esys_NV_ReadPublic(context.esys(), index.tr(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                   ESYS_TR_NONE, &area, nullptr));
    const EsysOutput<TPM2B_NV_PUBLIC> owner(area);
    const std::size_t size = area->nvPublic.dataSize;
    const std::size_t piece = nv_piece(context);
    Bytes content;
    while (content.size() < size) {
        const auto wanted = static_cast<UINT16>(std::min(piece, size - content.size()));
        TPM2B_MAX_NV_BUFFER* data = nullptr;
        const auto rc = Esys_NV_Read(context.esys(), index.tr(), index.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, wanted, static_cast<UINT16>(content.size()), &data);
        const EsysOutput<TPM2B_MAX_NV_BUFFER> read(data);
        const auto code = check_expecting("Esys_NV_Read", rc,
                                          {TPM2_RC_NV_UNINITIALIZED, TPM2_RC_NV_AUTHORIZATION,
                                           TPM2_RC_NV_LOCKED, TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_AUTH_FAIL,
                                           TPM2_RC_BAD_AUTH, TPM2_RC_ATTRIBUTES, TPM2_RC_LOCKOUT});
        if (code != TSS2_RC_SUCCESS)
            return content;
        if (view_of(*data).size() != wanted)
            throw Error(Errc::tpm,
                        "the TPM read another number of bytes from an NV index than it was asked for");
        append(content, view_of(*data));
    }
    return content;
}

/// Takes a certificate off the front, by the length in it: makers fill the rest of the index with other
/// bytes.
/// @returns nothing if there is none
Bytes take_certificate(ByteView& content) {
    constexpr std::size_t header = 4; // a SEQUENCE with a length of two bytes (X.690, 8.1.3.5)
    if (content.size() < header || content[0] != 0x30 || content[1] != 0x82)
        return {};
    const std::size_t size = header + (static_cast<std::size_t>(content[2]) << 8U | content[3]);
    if (size > content.size())
        return {};
    auto certificate = copy_of(content.first(size));
    content = content.subspan(size);
    return certificate;
}

std::vector<Bytes> read_chain(const Context& context, std::span<const TPM2_HANDLE> indices) {
    Bytes all;
    for (const auto index : indices)
        if (index >= first_of_chain)
            append(all, read_nv(context, index));
    std::vector<Bytes> chain;
    ByteView rest(all);
    for (auto next = take_certificate(rest); !next.empty(); next = take_certificate(rest))
        chain.push_back(std::move(next));
    return chain;
}

Handle create(Tpm& tpm, const TPM2B_PUBLIC& key_template) {
    return tpm.keys().parents().create_in(TPM2_RH_ENDORSEMENT, key_template);
}

TPMI_ALG_PUBLIC type_of_ours(const Context& context) {
    return supports(context, KeyAlgorithm{}) ? TPM2_ALG_ECC : TPM2_ALG_RSA;
}

/// A session that satisfies PolicyA: TPM2_PolicySecret with the endorsement hierarchy, whose auth value is
/// empty.
Handle start_endorsement_policy(const Context& context) {
    constexpr TPMT_SYM_DEF no_encryption{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    ESYS_TR session = ESYS_TR_NONE;
    check("Esys_StartAuthSession",
          Esys_StartAuthSession(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &no_encryption, TPM2_ALG_SHA256,
                                &session));
    auto started = Handle::transient(context, session);
    const TPM2B_NONCE any_time{};
    const TPM2B_DIGEST any_command{};
    const TPM2B_NONCE no_reference{};
    check("Esys_PolicySecret",
          Esys_PolicySecret(context.esys(), ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, &any_time, &any_command, &no_reference, 0, nullptr, nullptr));
    return started;
}

} // namespace

Endorsement read_endorsement(Tpm& tpm) {
    const auto& context = tpm.context();
    const auto indices = nv_indices(context);
    for (const auto& key : endorsement_keys()) {
        if (std::ranges::find(indices, key.certificate) == indices.end())
            continue;
        const auto content = read_nv(context, key.certificate);
        ByteView rest(content);
        auto certificate = take_certificate(rest);
        if (certificate.empty()) {
            log::warning("the TPM's NV index ", keyfile::handle_name(key.certificate),
                         " holds no endorsement certificate that can be read");
            continue;
        }
        return {&key, std::move(certificate), read_chain(context, indices)};
    }
    const auto keys = endorsement_keys();
    return {type_of_ours(context) == TPM2_ALG_ECC ? &keys[keys.size() - 2] : &keys.back(), {}, {}};
}

TPMT_PUBLIC endorsement_public(Tpm& tpm, const EndorsementKey& key) {
    tpm.keys().flush();
    const auto made = create(tpm, key.key_template);
    return read_public(tpm.context(), made.tr());
}

Handle load_attestation_key(Tpm& tpm) {
    tpm.keys().flush();
    return create(tpm, attestation_key(type_of_ours(tpm.context())));
}

Attested quote(Tpm& tpm, const Handle& attestation_key, const TPML_PCR_SELECTION& selection,
               ByteView qualifying_data) {
    const auto data = tpm2b_of<TPM2B_DATA>(qualifying_data);
    constexpr TPMT_SIG_SCHEME own_scheme{.scheme = TPM2_ALG_NULL, .details = {}};
    TPM2B_ATTEST* statement = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    check("Esys_Quote", Esys_Quote(tpm.context().esys(), attestation_key.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &data, &own_scheme, &selection, &statement, &signature));
    const EsysOutput<TPM2B_ATTEST> statement_owner(statement);
    const EsysOutput<TPMT_SIGNATURE> signature_owner(signature);
    return {copy_of(view_of(*statement)), *signature};
}

std::vector<Bytes> read_pcrs(Tpm& tpm, const TPML_PCR_SELECTION& selection) {
    std::vector<Bytes> values;
    auto rest = selection;
    for (;;) { // a TPM reads eight at a time
        TPML_PCR_SELECTION* read = nullptr;
        TPML_DIGEST* digests = nullptr;
        check("Esys_PCR_Read", Esys_PCR_Read(tpm.context().esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                             &rest, nullptr, &read, &digests));
        const EsysOutput<TPML_PCR_SELECTION> read_owner(read);
        const EsysOutput<TPML_DIGEST> digests_owner(digests);
        const auto count = std::min<std::size_t>(digests->count, std::size(digests->digests));
        for (std::size_t i = 0; i < count; ++i)
            values.push_back(copy_of(view_of(digests->digests[i])));
        bool more = false;
        auto& bitmap = rest.pcrSelections[0].pcrSelect;
        for (std::size_t i = 0; i < std::size(bitmap); ++i) {
            bitmap[i] &= static_cast<BYTE>(~read->pcrSelections[0].pcrSelect[i]);
            more = more || bitmap[i] != 0;
        }
        if (!more || count == 0)
            return values;
    }
}

Secret activate_credential(Tpm& tpm, const EndorsementKey& key, const Handle& attestation_key,
                           const TPM2B_ID_OBJECT& id_object, const TPM2B_ENCRYPTED_SECRET& secret) {
    const auto& context = tpm.context();
    const auto endorsement_key = create(tpm, key.key_template);
    const auto policy = key.has_password ? Handle() : start_endorsement_policy(context);
    TPM2B_DIGEST* opened = nullptr;
    const auto rc = Esys_ActivateCredential(context.esys(), attestation_key.tr(), endorsement_key.tr(),
                                            ESYS_TR_PASSWORD, policy ? policy.tr() : ESYS_TR_PASSWORD,
                                            ESYS_TR_NONE, &id_object, &secret, &opened);
    const EsysOutput<TPM2B_DIGEST> owner(opened);
    // TPM_RC_FAILURE is libtpms' word for a seed that the RSA key cannot decrypt.
    const auto code = check_expecting("Esys_ActivateCredential", rc,
                                      {TPM2_RC_INTEGRITY, TPM2_RC_FAILURE, TPM2_RC_VALUE, TPM2_RC_SIZE,
                                       TPM2_RC_ECC_POINT, TPM2_RC_INSUFFICIENT});
    if (code == TPM2_RC_FAILURE)
        (void)read_public(context, endorsement_key.tr()); // fails too if the TPM has really failed
    if (code != TSS2_RC_SUCCESS)
        throw Error::from_tpm(Errc::foreign_key, code, "the response is not for this TPM",
                              "only the TPM that made the request opens it");
    return Secret::copy_of(view_of(*owner));
}

} // namespace sshtpm::tpm
