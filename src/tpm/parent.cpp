#include "tpm/parent.hpp"

#include "base/log.hpp"
#include "tpm/context.hpp"
#include "tpm/primary.hpp"
#include "tpm/rc.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

namespace {

ESYS_TR hierarchy_tr(TPMI_RH_HIERARCHY hierarchy) {
    switch (hierarchy) {
    case TPM2_RH_OWNER:
        return ESYS_TR_RH_OWNER;
    case TPM2_RH_ENDORSEMENT:
        return ESYS_TR_RH_ENDORSEMENT;
    case TPM2_RH_PLATFORM:
        return ESYS_TR_RH_PLATFORM;
    case TPM2_RH_NULL:
        return ESYS_TR_RH_NULL;
    default:
        throw Error(Errc::unsupported, "a parent that is neither a hierarchy nor a persistent key");
    }
}

bool is_persistent(TPM2_HANDLE handle) {
    return handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT;
}

Parent primary_parent(const Context& context, TPMI_RH_HIERARCHY hierarchy, const TPM2B_PUBLIC& storage_key) {
    auto primary = create_primary(context, hierarchy_tr(hierarchy), storage_key);
    const auto tr = primary.tr();
    return {.loaded = std::move(primary), .tr = tr};
}

/// Empty when there is no object at the handle.
Handle look_up(const Context& context, TPM2_HANDLE handle) {
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc =
        Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
    if (check_expecting("Esys_TR_FromTPMPublic", rc, {TPM2_RC_HANDLE, TPM2_RC_VALUE}) != TSS2_RC_SUCCESS)
        return {};
    return Handle::persistent(context, tr);
}

TPMT_PUBLIC public_area(const Context& context, ESYS_TR object) {
    TPM2B_PUBLIC* area = nullptr;
    check("Esys_ReadPublic", Esys_ReadPublic(context.esys(), object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                             &area, nullptr, nullptr));
    const EsysOutput<TPM2B_PUBLIC> owner(area);
    return owner->publicArea;
}

Bytes name(const Context& context, ESYS_TR object) {
    TPM2B_NAME* name = nullptr;
    check("Esys_TR_GetName", Esys_TR_GetName(context.esys(), object, &name));
    const EsysOutput<TPM2B_NAME> owner(name);
    if (owner->size > sizeof owner->name)
        throw Error(Errc::malformed, "a TPM name with a size field that lies");
    return copy_of({owner->name, owner->size});
}

} // namespace

Parents::Parents(const Context& context) : context_(context) {
    auto found = look_up(context_, srk_handle);
    if (found && made_from(public_area(context_, found.tr()), ecc_storage_key().publicArea))
        persistent_srk_ = std::move(found);
}

Parent Parents::open(const keyfile::KeyFile& key) {
    if (is_persistent(key.parent))
        return persistent_object(key.parent);
    if (key.parent == TPM2_RH_OWNER && !key.rsa_parent && persistent_srk_)
        return {.loaded = {}, .tr = persistent_srk_.tr()};
    return primary_parent(context_, key.parent, key.rsa_parent ? rsa_storage_key() : ecc_storage_key());
}

Parent Parents::open_for_creation() {
    if (!persistent_srk_)
        return primary_parent(context_, TPM2_RH_OWNER, ecc_storage_key());
    try {
        auto primary = primary_parent(context_, TPM2_RH_OWNER, ecc_storage_key());
        if (!is_persistent_copy(primary))
            return primary;
    } catch (const Error& error) { // an owner password: the persistent copy needs none, and is all there is
        if (error.code() != Errc::auth)
            throw;
    }
    return {.loaded = {}, .tr = persistent_srk_.tr()};
}

std::optional<Parent> Parents::replace_impostor(const Parent& tried) {
    if (!persistent_srk_ || tried.tr != persistent_srk_.tr())
        return std::nullopt;
    auto primary = primary_parent(context_, TPM2_RH_OWNER, ecc_storage_key());
    if (is_persistent_copy(primary))
        return std::nullopt;
    log::info("the key at 0x81000001 is not this TPM's standard storage key; it is not used");
    persistent_srk_ = {};
    return primary;
}

bool Parents::is_persistent_copy(const Parent& primary) const {
    return equal(name(context_, primary.tr), name(context_, persistent_srk_.tr()));
}

Parent Parents::persistent_object(TPM2_HANDLE handle) const {
    auto found = look_up(context_, handle);
    if (!found)
        throw Error(
            Errc::not_found,
            "the key's parent, the persistent object 0x" +
                hex(Bytes{static_cast<std::uint8_t>(handle >> 24U), static_cast<std::uint8_t>(handle >> 16U),
                          static_cast<std::uint8_t>(handle >> 8U), static_cast<std::uint8_t>(handle)}) +
                ", is not in this TPM");
    const auto tr = found.tr();
    return {.loaded = std::move(found), .tr = tr};
}

} // namespace sshtpm::tpm
