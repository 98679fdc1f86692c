// SPDX-License-Identifier: MIT
#include "lab.hpp"

#include "tpm/context.hpp"
#include "tpm/emulator.hpp"
#include "tpm/rc.hpp"
#include "tpm/session.hpp"
#include "tpm/storage_keys.hpp"

using namespace sshtpm;

namespace tpm_test {

Lab::Lab(Srk srk, std::vector<int> missing_hashes)
    : log(swtpm.tcti(), std::move(missing_hashes)), unseen(swtpm.tcti()) {
    if (srk == Srk::persistent)
        tpm::prepare_emulator(unseen);
    reopen();
}

std::size_t Lab::close() {
    if (device)
        device->keys().flush();
    device.reset();
    return swtpm.loaded_handles();
}

tpm::Tpm& Lab::reopen() {
    if (device)
        device->keys().flush();
    device.reset();
    device.emplace(tpm::Target{.tcti = log.tcti(), .emulator_state = {}});
    device->ensure_open();
    return *device;
}

tpm::Auth pin(std::string_view text) {
    return tpm::to_auth(Secret::copy_of(bytes_of(text)));
}

keyfile::KeyFile new_key(tpm::Tpm& device, const tpm::Auth& auth, TPM2_HANDLE parent,
                         const tpm::KeyAlgorithm& algorithm) {
    auto job = [&](tpm::Tpm& opened) { return tpm::create_key(opened, algorithm, auth, parent); };
    return device.run(job);
}

SharedKey make(tpm::Tpm& device, const tpm::Auth& auth, const tpm::KeyAlgorithm& algorithm) {
    return std::make_shared<const keyfile::KeyFile>(new_key(device, auth, TPM2_RH_OWNER, algorithm));
}

bool signs(tpm::Tpm& device, const SharedKey& key, const tpm::Auth& auth) {
    const Bytes digest(32, 0x5A);
    auto job = [&](tpm::Tpm& opened) { return opened.keys().sign(key, auth, TPM2_ALG_SHA256, digest); };
    return std::holds_alternative<TPMT_SIGNATURE>(device.run(job));
}

bool signs(tpm::Tpm& device, const keyfile::KeyFile& key, const tpm::Auth& auth) {
    return signs(device, std::make_shared<const keyfile::KeyFile>(key), auth);
}

std::optional<keyfile::KeyFile> new_pin(tpm::Tpm& device, const keyfile::KeyFile& key,
                                        const tpm::Auth& old_auth, const tpm::Auth& new_auth) {
    auto job = [&](tpm::Tpm& opened) { return tpm::change_auth(opened, key, old_auth, new_auth); };
    return device.run(job);
}

keyfile::KeyFile create_under(const tpm::Context& context, const TPM2B_PUBLIC& storage_key,
                              const TPM2B_PUBLIC& key_template, std::string_view auth) {
    const auto parent = tpm::try_create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, storage_key);
    TPM2B_SENSITIVE_CREATE sensitive{};
    sensitive.sensitive.userAuth = tpm::tpm2b_of<TPM2B_AUTH>(bytes_of(auth));
    const TPM2B_DATA no_outside_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    TPM2B_PRIVATE* private_area = nullptr;
    TPM2B_PUBLIC* public_area = nullptr;
    tpm::check("Esys_Create", Esys_Create(context.esys(), parent.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, &sensitive, &key_template, &no_outside_info, &no_pcrs,
                                          &private_area, &public_area, nullptr, nullptr, nullptr));
    const tpm::EsysOutput<TPM2B_PRIVATE> private_owner(private_area);
    const tpm::EsysOutput<TPM2B_PUBLIC> public_owner(public_area);
    keyfile::KeyFile key;
    key.empty_auth = auth.empty();
    key.public_area = public_owner->publicArea;
    key.private_area = *private_owner;
    return key;
}

void make_persistent(const tpm::Context& context, const TPM2B_PUBLIC& key_template, TPM2_HANDLE handle) {
    const auto primary = tpm::try_create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, key_template);
    ESYS_TR tr = ESYS_TR_NONE;
    tpm::check("Esys_EvictControl",
               Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, primary.tr(), ESYS_TR_PASSWORD,
                                 ESYS_TR_NONE, ESYS_TR_NONE, handle, &tr));
    const auto persistent = tpm::Handle::persistent(context, tr);
}

void set_hierarchy_password(const tpm::Context& context, ESYS_TR hierarchy, std::string_view password) {
    const auto value = tpm::tpm2b_of<TPM2B_AUTH>(bytes_of(password));
    tpm::check("Esys_HierarchyChangeAuth",
               Esys_HierarchyChangeAuth(context.esys(), hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &value));
}

} // namespace tpm_test
