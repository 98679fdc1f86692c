// SPDX-License-Identifier: MIT
#include "tpm/context.hpp"

#include "base/log.hpp"
#include "tpm/rc.hpp"

namespace sshtpm::tpm {

Context::Context(const std::string& tcti) : tcti_(open_transport(tcti)) {
    check("Esys_Initialize", Esys_Initialize(&esys_, tcti_.tcti(), nullptr));
}

Context::~Context() {
    Esys_Finalize(&esys_); // frees its memory, and sends no command
}

Handle& Handle::operator=(Handle&& other) noexcept {
    if (this != &other) {
        flush();
        esys_ = other.esys_;
        tr_ = std::exchange(other.tr_, ESYS_TR_NONE);
        in_tpm_ = other.in_tpm_;
    }
    return *this;
}

TPM2_HANDLE Handle::tpm_handle() const {
    TPM2_HANDLE handle = 0;
    check("Esys_TR_GetTpmHandle", Esys_TR_GetTpmHandle(esys_, tr_, &handle));
    return handle;
}

void Handle::abandon() noexcept {
    if (tr_ != ESYS_TR_NONE)
        (void)Esys_TR_Close(esys_, &tr_);
    tr_ = ESYS_TR_NONE;
}

bool Handle::flush() noexcept {
    if (tr_ == ESYS_TR_NONE)
        return true;
    if (!in_tpm_) {
        abandon();
        return true;
    }
    const auto rc = Esys_FlushContext(esys_, tr_);
    if (rc == TSS2_RC_SUCCESS) {
        tr_ = ESYS_TR_NONE; // ESYS has forgotten the object as well
        return true;
    }
    log::debug("a TPM handle was not released: ", error_of("Esys_FlushContext", rc).what());
    abandon();
    return base_code(rc) != TPM2_RC_HANDLE && remedy_for(rc) != Remedy::reload;
}

Handle look_up(const Context& context, TPM2_HANDLE handle) {
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc =
        Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
    if (check_expecting("Esys_TR_FromTPMPublic", rc, {TPM2_RC_HANDLE, TPM2_RC_VALUE}) != TSS2_RC_SUCCESS)
        return {};
    return Handle::persistent(context, tr);
}

TPMT_PUBLIC read_public(const Context& context, ESYS_TR object) {
    TPM2B_PUBLIC* area = nullptr;
    check("Esys_ReadPublic", Esys_ReadPublic(context.esys(), object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                             &area, nullptr, nullptr));
    const EsysOutput<TPM2B_PUBLIC> owner(area);
    return owner->publicArea;
}

bool is_still_there(const Context& context, const Handle& object) noexcept {
    TPM2B_NAME* name = nullptr;
    const auto rc = Esys_ReadPublic(context.esys(), object.tr(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    nullptr, &name, nullptr);
    const EsysOutput<TPM2B_NAME> owner(name);
    try { // caught because an invalid reply proves nothing either
        return rc == TSS2_RC_SUCCESS && equal(view_of(*owner), name_of(context, object.tr()));
    } catch (const Error&) {
        return false;
    }
}

Bytes name_of(const Context& context, ESYS_TR object) {
    TPM2B_NAME* name = nullptr;
    check("Esys_TR_GetName", Esys_TR_GetName(context.esys(), object, &name));
    const EsysOutput<TPM2B_NAME> owner(name);
    return copy_of(view_of(*owner));
}

} // namespace sshtpm::tpm
