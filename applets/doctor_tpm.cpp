// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the TPM itself, and whether it loads the key files. No command uses an auth value that the
// TPM counts.

#include "applets/doctor.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "identity/convert.hpp"
#include "identity/identity.hpp"
#include "identity/sign.hpp"
#include "keyfile/names.hpp"
#include "os/key_tree.hpp"
#include "os/paths.hpp"
#include "tpm/capability.hpp"
#include "tpm/lockout.hpp"
#include "tpm/signature.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>

namespace sshtpm::applets {

namespace {

using cli::Verdict;

/// More keys would take a slow chip longer than the section may take.
constexpr std::size_t most_loaded = 16;

constexpr const char* driver_hint = "`journalctl -b -k -g tpm` shows the messages of the TPM's driver";

std::uint32_t property_of(const TPML_TAGGED_TPM_PROPERTY& list, TPM2_PT property) {
    const std::span known(list.tpmProperty, std::min<std::size_t>(list.count, std::size(list.tpmProperty)));
    const auto found = std::ranges::find(known, property, &TPMS_TAGGED_PROPERTY::property);
    return found == known.end() ? 0 : found->value;
}

/// The characters of a property that holds four (TPM 2.0 Part 2, 6.13), without zeros and spaces at the end.
std::string characters_of(std::uint32_t value) {
    std::string out;
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        out.push_back(static_cast<char>(value >> shift & 0xFFU));
    out.erase(out.find_last_not_of(std::string_view("\0 ", 2)) + 1);
    return out;
}

std::string halves_of(std::uint32_t value) {
    return std::to_string(value >> 16U) + "." + std::to_string(value & 0xFFFFU);
}

void check_chip(cli::Findings& findings, tpm::Tpm& tpm) {
    const auto data =
        tpm::read_capability(tpm.context(), TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, TPM2_MAX_TPM_PROPERTIES);
    const auto& list = data->data.tpmProperties;
    std::string vendor;
    for (const auto part :
         {TPM2_PT_VENDOR_STRING_1, TPM2_PT_VENDOR_STRING_2, TPM2_PT_VENDOR_STRING_3, TPM2_PT_VENDOR_STRING_4})
        vendor.append(characters_of(property_of(list, part)));
    findings.add({Verdict::ok, "tpm-chip", "",
                  "TPM 2.0 of " + printable(characters_of(property_of(list, TPM2_PT_MANUFACTURER))) + " (" +
                      printable(vendor) + "), firmware " +
                      halves_of(property_of(list, TPM2_PT_FIRMWARE_VERSION_1)) + "." +
                      halves_of(property_of(list, TPM2_PT_FIRMWARE_VERSION_2)),
                  ""});
}

void check_algorithms(cli::Findings& findings, tpm::Tpm& tpm) {
    std::string keys;
    for (const auto& algorithm : tpm::supported_algorithms(tpm.context()))
        keys.append(keys.empty() ? "" : ", ").append(tpm::describe(algorithm));
    if (keys.empty())
        findings.add({Verdict::fail, "tpm-algorithms", "", "the TPM makes no keys that SSH can use",
                      "`tpm2_getcap algorithms` and `tpm2_getcap ecc-curves` list what the TPM has"});
    else
        findings.add({Verdict::ok, "tpm-algorithms", "", "the TPM makes " + keys + " keys", ""});
    const bool has_sha512 = tpm::rsa_use(tpm.context(), TPM2_ALG_RSA) == tpm::RsaUse::sign;
    findings.add({Verdict::ok, "tpm-hash", "",
                  has_sha512 ? "the TPM has SHA-512, for rsa-sha2-512"
                             : "the TPM has no SHA-512: RSA keys sign rsa-sha2-512 by TPM2_RSA_Decrypt",
                  ""});
}

void check_lockout(cli::Findings& findings, tpm::Tpm& tpm) {
    const auto lockout = tpm::read_lockout(tpm.context());
    if (lockout.active) {
        findings.add(
            {Verdict::fail, "tpm-lockout", "", tpm::lockout_text(lockout), tpm::lockout_hint(lockout)});
        return;
    }
    if (!lockout.counts()) {
        findings.add({Verdict::ok, "tpm-lockout", "", "the TPM counts no wrong PINs", ""});
        return;
    }
    const bool last = lockout.last_try();
    const auto closed =
        lockout.recovery == 0 ? "until a reset" : "for " + std::to_string(lockout.recovery) + " s";
    findings.add({last ? Verdict::warn : Verdict::ok, "tpm-lockout", "",
                  std::to_string(lockout.failures) + " of " + std::to_string(lockout.max_failures) +
                      " wrong PINs counted; one is forgotten " + tpm::every(lockout.interval) +
                      "; after a wrong lockout password, none is taken " + closed,
                  last ? "the next wrong PIN locks the TPM: wait, or reset the counter with "
                         "`tpm2_dictionarylockout --clear-lockout`"
                       : ""});
}

/// @param subject the file of known TPMs, if there are two
void check_storage_key(cli::Findings& findings, tpm::Tpm& tpm, const tpm::Target& target,
                       const std::string& subject) {
    const auto parent = tpm.keys().parents().open(keyfile::KeyFile{});
    const auto label = tpm::label_of(parent.name);
    auto known = tpm::known_tpms_of(target);
    const bool is_known =
        known.judge(label, tpm::name_of(tpm.context(), parent.tr)) == tpm::KnownTpms::Verdict::same;
    findings.add({Verdict::ok, "tpm-storage-key", subject,
                  "the storage key " + label + " is " +
                      (parent.loaded ? "made again for each use"
                                     : "persistent at " + keyfile::handle_name(tpm::srk_handle)) +
                      (is_known ? "; its Name is known"
                                : "; its Name is not known yet: the first use of a key records it"),
                  ""});
}

/// With a primary key of the null hierarchy, whose handle is flushed. RSA keys take a chip too long.
void check_signature(cli::Findings& findings, tpm::Tpm& tpm) {
    const auto& context = tpm.context();
    if (!tpm::supports(context, tpm::KeyAlgorithm{})) {
        findings.add({Verdict::ok, "tpm-signature", "", "not timed: the TPM makes no ECDSA 256 keys", ""});
        return;
    }
    const auto made = tpm.keys().parents().create_in(TPM2_RH_NULL, tpm::hierarchy_key({}));
    keyfile::KeyFile key;
    key.kind = keyfile::KeyKind::primary;
    key.empty_auth = true;
    key.parent = TPM2_RH_NULL;
    key.public_area = tpm::read_public(context, made.tr());
    const auto identity = identity::make_identity(key, "throw-away key");
    const Bytes digest(ssh::digest_size(ssh::Hash::sha256), 0x5A);

    const auto begin = std::chrono::steady_clock::now();
    const auto signature =
        tpm::sign_digest(context, made.tr(), key.public_area, ESYS_TR_PASSWORD, TPM2_ALG_SHA256, digest);
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    if (!signature ||
        identity::is_wrong(identity::to_signature(*signature), identity, ssh::Hash::sha256, digest))
        findings.add({Verdict::fail, "tpm-signature", "", "a signature of a throw-away key does not verify",
                      "the chip, or the way to it, is faulty: update the firmware of the machine"});
    else
        findings.add({Verdict::ok, "tpm-signature", "",
                      "an ECDSA 256 signature takes " + std::to_string(time.count()) + " ms", ""});
}

/// TPM2_Load uses the auth value of the parent, which is empty. A parent that is not exempt may have another
/// one, and the TPM would count a wrong try.
void check_loading(cli::Findings& findings, tpm::Tpm& tpm, const identity::Identity& identity) {
    auto& parents = tpm.keys().parents();
    auto parent = parents.open(*identity.key);
    if (!parent.exempt) {
        findings.add({Verdict::ok, "key-loads", identity.file.string(),
                      "not tried: its parent, " + keyfile::handle_name(parent.name.handle) +
                          ", is not exempt from lockout",
                      ""});
        return;
    }
    (void)tpm::load_key(tpm.context(), parents, parent, *identity.key);
    findings.add({Verdict::ok, "key-loads", identity.file.string(), "the TPM loads it", ""});
}

/// @returns false if there is no connection to the TPM: what is left would fail likewise, or wait as long
bool check_one(cli::Findings& findings, tpm::Tpm& tpm, const std::string& check, const std::string& subject,
               const std::function<void()>& run) {
    try { // caught so that the other checks run
        auto job = [&run](tpm::Tpm&) { run(); };
        tpm.run(job);
    } catch (const Error& error) {
        const bool foreign = error.code() == Errc::foreign_key;
        findings.add(cli::finding_of_error(foreign ? Verdict::warn : Verdict::fail, check, subject, error,
                                           driver_hint));
    }
    return tpm.is_open();
}

/// The keys of ~/.ssh. Files that are no key files are left to check_files.
std::vector<identity::Identity> loadable_keys() {
    std::vector<identity::Identity> keys;
    for (const auto& file : os::read_key_tree(os::ssh_folder()).files) {
        try { // caught to go on with the next file
            if (auto identity = identity::load_identity(file);
                identity.key->kind == keyfile::KeyKind::loadable)
                keys.push_back(std::move(identity));
        } catch (const Error&) {
        }
    }
    return keys;
}

void check_keys(cli::Findings& findings, tpm::Tpm& tpm) {
    const auto keys = loadable_keys();
    const auto tried = std::min(keys.size(), most_loaded);
    for (const auto& key : std::span(keys).first(tried))
        if (!check_one(findings, tpm, "key-loads", key.file.string(),
                       [&] { check_loading(findings, tpm, key); }))
            return;
    if (keys.size() > tried)
        findings.add({Verdict::ok, "key-loads", "",
                      std::to_string(keys.size() - tried) + " more key files were not tried", ""});
}

/// @returns false if there is no connection to the TPM
bool check_opened(cli::Findings& findings, tpm::Tpm& tpm, const tpm::Target& target) {
    const auto check = [&](const std::string& name, const std::function<void()>& run) {
        return check_one(findings, tpm, name, "", run);
    };
    const bool all = check("tpm-chip", [&] { check_chip(findings, tpm); }) &&
                     check("tpm-algorithms", [&] { check_algorithms(findings, tpm); }) &&
                     check("tpm-lockout", [&] { check_lockout(findings, tpm); }) &&
                     check("tpm-storage-key", [&] { check_storage_key(findings, tpm, target, ""); }) &&
                     check("tpm-signature", [&] { check_signature(findings, tpm); });
    if (all)
        check_keys(findings, tpm);
    return tpm.is_open();
}

/// Nothing here records a Name, so the file of host keys is not written.
void check_host_storage_key(cli::Findings& findings, const tpm::Target& target) {
    const auto file = target.known_tpms.string();
    tpm::Tpm tpm(target);
    check_one(findings, tpm, "tpm-storage-key", file,
              [&] { check_storage_key(findings, tpm, target, file); });
}

} // namespace

void check_tpm(cli::Findings& findings, const tpm::Target& target, const tpm::Target& of_host) {
    if (!check_device(findings, target))
        return;
    try { // caught to report it
        std::optional<tpm::Tpm> opened(target);
        const bool goes_on = check_opened(findings, *opened, target);
        opened.reset(); // some TPMs take one connection at a time
        const bool has_host_file = of_host.emulator_state.empty() && is_there(of_host.known_tpms);
        if (goes_on && is_root() && has_host_file)
            check_host_storage_key(findings, of_host);
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::fail, "tpm-chip", "", error, driver_hint));
    }
}

} // namespace sshtpm::applets
