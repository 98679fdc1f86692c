// SPDX-License-Identifier: MIT
#include "applets/tpm_options.hpp"

#include "applets/keygen_dialogue.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"
#include "os/secret_line.hpp"
#include "tpm/session.hpp"
#include "tpm/transport.hpp"

#include <charconv>
#include <utility>

namespace sshtpm::applets {

namespace {

constexpr const char* owner_password_variable = "SSH_TPM_AGENT_OWNER_PASSWORD";

/// The password from take_owner_password or give_owner_password, until it is used.
std::optional<Secret>& taken_password() {
    static std::optional<Secret> password;
    return password;
}

/// Empty without a home, as in an initramfs, where nothing is kept.
std::filesystem::path state_folder() {
    try { // caught because a TPM can be used all the same
        return os::state_folder();
    } catch (const Error& error) {
        log::info("the TPM's storage key is not remembered beyond this run: ", error.what());
        return {};
    }
}

const tpm::Hierarchy* find_hierarchy(std::string_view word) {
    for (const auto& hierarchy : tpm::hierarchies)
        if (word == hierarchy.name || word == hierarchy.letter)
            return &hierarchy;
    return nullptr;
}

} // namespace

void take_owner_password() {
    auto password = os::take_secret_variable(owner_password_variable);
    if (password && !password->empty())
        taken_password() = std::move(password);
}

void give_owner_password(Secret password) {
    taken_password() = std::move(password);
}

tpm::Hierarchy parse_hierarchy(std::string_view word) {
    if (const auto* hierarchy = find_hierarchy(word))
        return *hierarchy;
    throw Error(Errc::usage, "--hierarchy " + std::string(word) + ": no such hierarchy",
                "endorsement (e), owner (o), platform (p) or null (n)");
}

TPM2_HANDLE parse_parent_handle(std::string_view word) {
    if (const auto* hierarchy = find_hierarchy(word))
        return hierarchy->handle;
    TPM2_HANDLE handle = 0;
    if (word.starts_with("0x")) {
        const auto* end = word.data() + word.size();
        const auto [stopped, failure] = std::from_chars(word.data() + 2, end, handle, 16);
        if (failure == std::errc{} && stopped == end && handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT)
            return handle;
    }
    throw Error(
        Errc::usage, "--parent-handle " + std::string(word) + ": no such parent",
        "owner (o), endorsement (e), platform (p), null (n), or a persistent handle from 0x81000000 on");
}

ssh::FingerprintHash parse_hash(std::string_view word) {
    if (const auto hash = ssh::fingerprint_hash_named(word))
        return *hash;
    throw Error(Errc::usage, "-E " + std::string(word) + ": unknown hash", "sha256 or md5");
}

void TpmOptions::add_target_to(std::vector<cli::Option>& options, cli::Modes modes) {
    options.push_back({"--tcti CONF", modes,
                       "the TPM, as tpm2-tss names it, such as device:/dev/tpmrm0 (default; SSH_TPM_TCTI)",
                       cli::set(tcti_)});
    options.push_back({"--swtpm", modes,
                       "an emulator instead of the TPM, for trying things out (SSH_TPM_AGENT_SWTPM)",
                       cli::set(swtpm_)});
}

void TpmOptions::add_to(std::vector<cli::Option>& options, cli::Modes modes) {
    add_target_to(options, modes);
    options.push_back({"-o, --owner-password", modes,
                       "ask for the owner password of the TPM (SSH_TPM_AGENT_OWNER_PASSWORD)",
                       cli::set(ask_owner_password_)});
    options.push_back({"--owner-password-file PATH", modes,
                       "the first line of a file is the owner password; - is standard input",
                       cli::set(owner_password_file_)});
}

bool TpmOptions::may_use_network() const {
    const auto tcti = chosen_tcti();
    return tcti && tpm::needs_of(*tcti).network;
}

/// --tcti or --swtpm, else SSH_TPM_TCTI, else SSH_TPM_AGENT_SWTPM; an empty variable counts as not set. The
/// emulator is never the default.
std::optional<std::string> TpmOptions::chosen_tcti() const {
    if (tcti_ && swtpm_)
        throw Error(Errc::usage, "--tcti and --swtpm name two different TPMs");
    if (tcti_)
        return tcti_;
    if (!swtpm_ && os::has_variable("SSH_TPM_TCTI"))
        return os::variable("SSH_TPM_TCTI");
    if (!swtpm_ && !os::has_variable("SSH_TPM_AGENT_SWTPM"))
        return "device:/dev/tpmrm0";
    return std::nullopt;
}

tpm::Target TpmOptions::target(const std::filesystem::path& host_keys) const {
    constexpr const char* known_tpms = "known_tpms";
    const auto tcti = chosen_tcti();
    if (!tcti) { // in the emulator's folder, so that both are deleted together
        const auto emulator = os::emulator_state();
        return {.tcti = {}, .emulator_state = emulator, .known_tpms = emulator / known_tpms};
    }
    tpm::Target target{.tcti = *tcti, .emulator_state = {}};
    if (!host_keys.empty())
        target.known_tpms = host_keys / "ssh_tpm_known_tpms";
    else if (os::has_variable("SSH_TPM_KNOWN_TPMS"))
        target.known_tpms = *os::variable("SSH_TPM_KNOWN_TPMS");
    if (!target.known_tpms.empty())
        target.known_tpms_use = tpm::KnownTpmsUse::host;
    else if (const auto folder = state_folder(); !folder.empty())
        target.known_tpms = folder / known_tpms;
    return target;
}

std::optional<Secret> TpmOptions::read_owner_password_file() const {
    return owner_password_file_ ? std::optional(os::read_secret_line(*owner_password_file_, tpm::max_pin))
                                : std::nullopt;
}

tpm::Auth TpmOptions::owner_password() const {
    auto password = std::exchange(taken_password(), std::nullopt);
    if (!password && ask_owner_password_)
        password = ask_existing_secret("Enter owner password: ", "owner password");
    return password ? tpm::to_auth(std::move(*password)) : nullptr;
}

bool TpmOptions::asks_for_owner_password() const {
    return ask_owner_password_ && !taken_password() && !os::has_variable(owner_password_variable);
}

std::unique_ptr<tpm::Tpm> TpmOptions::open_tpm(const std::filesystem::path& host_keys) const {
    auto tpm = std::make_unique<tpm::Tpm>(target(host_keys));
    tpm->ensure_open();
    tpm->use_owner_password(owner_password());
    return tpm;
}

} // namespace sshtpm::applets
