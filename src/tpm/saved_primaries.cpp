#include "tpm/saved_primaries.hpp"

#include "keyfile/marshal.hpp"
#include "tpm/context.hpp"
#include "tpm/device.hpp"
#include "tpm/hierarchy.hpp"
#include "tpm/object.hpp"
#include "tpm/parent.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

#include <algorithm>
#include <string>

namespace sshtpm::tpm {

namespace {

std::string name_of_hierarchy(TPM2_HANDLE handle) {
    return std::string(hierarchy_of(handle).name);
}

Error disabled(TPM2_HANDLE hierarchy) {
    return Error::from_tpm(Errc::tpm, TPM2_RC_HIERARCHY,
                           "the " + name_of_hierarchy(hierarchy) + " hierarchy is disabled",
                           hierarchy == TPM2_RH_PLATFORM
                               ? "firmware closes it before the system starts; use endorsement or owner"
                               : "the firmware settings, or tpm2_hierarchycontrol, can enable it");
}

Handle create(const Parents& parents, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm) {
    try { // caught to say which hierarchy it is
        return parents.create_in(hierarchy, hierarchy_key(algorithm));
    } catch (const Error& error) {
        if (error.tpm_rc() == TPM2_RC_HIERARCHY)
            throw disabled(hierarchy);
        throw;
    }
}

KeyAlgorithm algorithm_of(const TPMT_PUBLIC& area) {
    if (area.type == TPM2_ALG_ECC)
        return {TPM2_ALG_ECC, area.parameters.eccDetail.curveID, 0};
    return {TPM2_ALG_RSA, 0, area.parameters.rsaDetail.keyBits};
}

Error other_seed(TPM2_HANDLE hierarchy) {
    const auto hint =
        hierarchy == TPM2_RH_NULL
            ? "the null hierarchy's keys last until the next reset of the TPM; start the agent anew"
            : "start the agent anew, and ssh-tpm-keygen -A once the old .pub files are removed";
    return {Errc::foreign_key,
            "the TPM makes another key now: its " + name_of_hierarchy(hierarchy) +
                " hierarchy has a new seed",
            hint};
}

} // namespace

Handle SavedPrimaries::load(const Context& context, const Parents& parents, const keyfile::KeyFile& key) {
    auto public_area = keyfile::marshal_public(key.public_area);
    if (auto restored = restore(context, public_area))
        return restored;
    auto made = create(parents, key.parent, algorithm_of(key.public_area));
    if (!equal(keyfile::marshal_public(read_public(context, made.tr())), public_area))
        throw other_seed(key.parent);
    save(context, std::move(public_area), made.tr());
    return made;
}

keyfile::KeyFile SavedPrimaries::make(const Context& context, const Parents& parents, TPM2_HANDLE hierarchy,
                                      const KeyAlgorithm& algorithm) {
    const auto made = create(parents, hierarchy, algorithm);
    keyfile::KeyFile key;
    key.kind = keyfile::KeyKind::primary;
    key.empty_auth = true;
    key.parent = hierarchy;
    key.public_area = read_public(context, made.tr());
    save(context, keyfile::marshal_public(key.public_area), made.tr());
    return key;
}

/// Empty when there is no context, or none that the TPM takes.
Handle SavedPrimaries::restore(const Context& context, ByteView public_area) {
    const auto found = std::ranges::find_if(
        saved_, [&](const Saved& saved) { return equal(saved.public_area, public_area); });
    if (found == saved_.end())
        return {};
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc = Esys_ContextLoad(context.esys(), &found->context, &tr);
    // After a reset the context's integrity check fails; a hierarchy that was disabled meanwhile is named as
    // what it is when the key is to be made again.
    const auto code = check_expecting("Esys_ContextLoad", rc,
                                      {TPM2_RC_INTEGRITY, TPM2_RC_HANDLE, TPM2_RC_SIZE, TPM2_RC_HIERARCHY});
    if (code == TSS2_RC_SUCCESS)
        return Handle::transient(context, tr);
    saved_.erase(found);
    return {};
}

void SavedPrimaries::save(const Context& context, Bytes public_area, ESYS_TR object) {
    TPMS_CONTEXT* out = nullptr;
    check("Esys_ContextSave", Esys_ContextSave(context.esys(), object, &out));
    const EsysOutput<TPMS_CONTEXT> owner(out);
    std::erase_if(saved_, [&](const Saved& saved) { return equal(saved.public_area, public_area); });
    saved_.push_back({.public_area = std::move(public_area), .context = *owner});
}

keyfile::KeyFile make_primary_key(Device& device, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm) {
    device.keys().drop_session(); // the owner password has its own
    return with_retries(
        [&] {
            auto& keys = device.keys();
            return keys.primaries().make(device.context(), keys.parents(), hierarchy, algorithm);
        },
        [&](Remedy remedy) { device.keys().give_back(remedy); });
}

} // namespace sshtpm::tpm
