// SPDX-License-Identifier: MIT
// attest request: has the TPM certify keys, for a certificate authority.

#include "applets/attest.hpp"
#include "applets/installation.hpp"
#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "applets/openssh_link.hpp"
#include "applets/pending_requests.hpp"
#include "applets/rights.hpp"
#include "applets/tpm_options.hpp"
#include "attest/endorsement.hpp"
#include "attest/evidence.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "identity/hierarchy.hpp"
#include "keyfile/object_name.hpp"
#include "os/host_names.hpp"
#include "os/secret_line.hpp"
#include "ssh/authorized_key.hpp"
#include "tpm/attestation.hpp"
#include "tpm/lockout.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view request_usage =
    "usage: ssh-tpm-attest request [-f KEY]... [--host name] [--nonce text] [--pin-file path]\n"
    "       ssh-tpm-attest request -A [--hierarchy hierarchy] [--host name] [--nonce text]";

constexpr std::string_view request_about =
    "Prints a request for certificates: the TPM's statement that these keys are in it and cannot leave it, "
    "and the endorsement certificate of its maker. The certificate authority's answer is for "
    "\"ssh-tpm-attest install\".";

struct RequestOptions {
    std::vector<std::string> files; ///< -f
    bool host_keys = false;         ///< -A
    std::optional<tpm::Hierarchy> hierarchy;
    std::optional<std::string> host;
    std::string nonce;
    std::optional<std::string> pin_file;
    std::optional<Secret> pin;
    TpmOptions tpm;
};

/// A key to certify.
struct Subject {
    identity::Identity identity;
    fs::path base; ///< KEY, of KEY.tpm and KEY-cert.pub
    tpm::Auth auth = {};
};

/// @throws Error(usage) for a path that has no place in a line
fs::path base_of(const fs::path& file) {
    const auto path = fs::absolute(file);
    if (std::ranges::any_of(path.string(), is_control))
        throw Error(Errc::usage,
                    printable(path.string()) + ": a key file with control characters in its path");
    return path.extension() == ".tpm" ? fs::path(path).replace_extension() : path;
}

/// Before a PIN is asked for. The TPM itself certifies keys that were imported, too.
void require_certifiable(const identity::Identity& identity) {
    const auto attributes = identity.key->public_area.objectAttributes;
    constexpr TPMA_OBJECT only_here =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
    if ((attributes & only_here) != only_here)
        refuse(identity.name() + ": the key was imported, so a copy may be elsewhere",
               "make a key in the TPM with `ssh-tpm keygen`");
    if ((attributes & TPMA_OBJECT_ADMINWITHPOLICY) != 0)
        throw Error(Errc::unsupported, identity.name() + ": only its policy lets the TPM certify the key");
}

fs::path folder_of_host_keys() {
    return destdir() + "/etc/ssh";
}

std::vector<Subject> host_key_subjects(tpm::Tpm& tpm, const RequestOptions& options) {
    const auto folder = folder_of_host_keys();
    std::vector<Subject> subjects;
    for (const auto& type : identity::host_key_types) {
        const auto paths = host_key_paths(folder, type);
        if (options.hierarchy) {
            auto job = [&](tpm::Tpm& opened) {
                return identity::hierarchy_identity(opened, *options.hierarchy, type, "");
            };
            if (!is_there(paths.pub))
                continue;
            auto identity = tpm.run(job);
            if (!equal(ssh::AuthorizedKey::read(paths.pub).blob, identity.public_key.blob()))
                refuse(paths.pub.string() + ": not the key of the " + std::string(options.hierarchy->name) +
                       " hierarchy of this TPM");
            subjects.push_back({.identity = std::move(identity), .base = base_of(paths.key)});
        } else if (is_there(paths.key)) {
            subjects.push_back({.identity = read_host_identity(paths.key), .base = base_of(paths.key)});
        }
    }
    if (subjects.empty())
        throw Error(Errc::not_found, folder.string() + ": no host keys of ssh-tpm",
                    "`ssh-tpm keygen -A" +
                        (options.hierarchy ? " --hierarchy " + std::string(options.hierarchy->name) : "") +
                        "` makes them");
    return subjects;
}

std::vector<Subject> named_subjects(const RequestOptions& options) {
    auto files = options.files;
    if (files.empty())
        files.push_back(existing_key({}).string());
    std::vector<Subject> subjects;
    for (const auto& name : files) {
        const auto file = key_file_named(name);
        if (is_stream(file))
            throw Error(Errc::usage, shown_name(file) + ": a certificate belongs beside a key file");
        auto identity = read_identity(file);
        if (std::ranges::any_of(subjects, [&](const Subject& other) {
                return other.identity.public_key == identity.public_key;
            }))
            throw Error(Errc::usage, shown_name(file) + ": this key is named twice");
        subjects.push_back({.identity = std::move(identity), .base = base_of(file)});
    }
    return subjects;
}

/// Completes the request with the TPM's statements, and checks them as the certificate authority will.
void certify_all(tpm::Tpm& tpm, const std::vector<Subject>& subjects, attest::Request& request) {
    const auto attestation_key = tpm::load_attestation_key(tpm);
    request.ak = tpm::read_public(tpm.context(), attestation_key.tr());
    const attest::AttestationKey ak(request.ak);
    request.keys.clear();
    for (const auto& subject : subjects) {
        const auto data = attest::qualifying_data(request, subject.identity.public_key.blob());
        naming(subject.identity.name(), [&] {
            auto key = certify_key(tpm, subject.identity, subject.auth, attestation_key, data);
            if (!key)
                throw Error(Errc::auth, "the PIN is wrong",
                            tpm::wrong_pin_hint(tpm.context(), *subject.identity.key));
            ak.require_certified(*key, data);
            request.keys.push_back(std::move(*key));
        });
    }
}

attest::Request make_request(tpm::Tpm& tpm, const RequestOptions& options, std::vector<Subject>& subjects) {
    attest::Request request{
        .made = attest::time_text(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())),
        .host = options.host.value_or(os::host_name()),
        .nonce = options.nonce,
        .ek_certificate = {},
        .chain = {},
        .ek = {},
        .ak = {},
        .keys = {}};
    auto read_ek = [&](tpm::Tpm& opened) {
        const auto endorsement = tpm::read_endorsement(opened);
        request.ek_certificate = endorsement.certificate;
        request.chain =
            attest::issuers_of(endorsement.certificate, endorsement.chain, attest::max_certificates - 1);
        request.ek = tpm::endorsement_public(opened, *endorsement.key);
    };
    tpm.run(read_ek);
    auto certify_them = [&](tpm::Tpm& opened) { certify_all(opened, subjects, request); };
    tpm.run(certify_them);
    return request;
}

} // namespace

std::optional<attest::CertifiedKey> certify_key(tpm::Tpm& tpm, const identity::Identity& key,
                                                const tpm::Auth& auth, const tpm::Handle& attestation_key,
                                                ByteView qualifying_data) {
    const auto result = tpm.keys().certify(key.key, auth, attestation_key.tr(), qualifying_data);
    tpm.keys().flush();
    const auto* const attested = std::get_if<tpm::Attested>(&result);
    if (attested == nullptr)
        return std::nullopt;
    return attest::CertifiedKey{.ssh = key.public_key,
                                .area = key.key->public_area,
                                .attest = attested->attest,
                                .signature = attested->signature};
}

int attest_request(Call& call) {
    RequestOptions o;
    std::vector<cli::Option> table{
        {"-f KEY", cli::every_mode,
         "a key file; may be given several times (default: ~/.ssh/id_ecdsa or id_rsa)",
         [&o](char* file) { o.files.emplace_back(file); }},
        {"-A", cli::every_mode, "the host keys in /etc/ssh", cli::set(o.host_keys)},
        {"--hierarchy H", cli::every_mode,
         "with -A: the host keys of the endorsement, owner, platform or null hierarchy (e, o, p, n)",
         [&o](char* word) { o.hierarchy = parse_hierarchy(word); }},
        {"--host NAME", cli::every_mode, "the name of this machine in the request (default: its host name)",
         cli::set(o.host)},
        {"--nonce TEXT", cli::every_mode, "a fresh text of the certificate authority", cli::set(o.nonce)},
        {"--pin-file PATH", cli::every_mode,
         "the first line of a file is the PIN of the keys; - is standard input", cli::set(o.pin_file)},
    };
    o.tpm.add_to(table, cli::every_mode);
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, request_usage, request_about, table, "");
    if (parsed.version)
        return show_version();
    if (!parsed.operands.empty())
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[0] + "\"", "-f names a key file");
    cli::require_apart(parsed, "-f", "-A");
    cli::require_apart(parsed, "-o", "--owner-password-file");
    if (o.hierarchy)
        cli::require_with(parsed, "--hierarchy", "-A");
    attest::require_nonce(o.nonce);
    if (o.host)
        attest::require_host(*o.host);
    give_up_rights({.network = o.tpm.may_use_network()});
    if (auto password = o.tpm.read_owner_password_file())
        give_owner_password(std::move(*password));
    if (o.pin_file)
        o.pin = os::read_secret_line(*o.pin_file, tpm::max_pin);

    const auto tpm = o.tpm.open_tpm(o.host_keys ? folder_of_host_keys() : fs::path());
    auto subjects = o.host_keys ? host_key_subjects(*tpm, o) : named_subjects(o);
    if (subjects.size() > attest::max_keys)
        throw Error(Errc::usage, "a request has at most " + std::to_string(attest::max_keys) + " keys");
    for (auto& subject : subjects) {
        require_certifiable(subject.identity);
        if (subject.identity.needs_pin())
            subject.auth = existing_pin(*tpm, *subject.identity.key, o.pin,
                                        "Enter passphrase for " + subject.identity.name() + ": ",
                                        {.instead = "--pin-file gives it", .empty = "--pin-file gives it"});
    }
    const auto request = make_request(*tpm, o, subjects);
    const auto text = request.text();
    (void)attest::Request::parse(text); // such as a chain of certificates that is too long for a request
    std::vector<RequestedKey> keys;
    for (const auto& subject : subjects)
        keys.push_back({copy_of(subject.identity.public_key.blob()), subject.base});
    remember_request(attest::sha256(bytes_of(text)), keys);
    std::cerr << "EK: " << hex(keyfile::object_name(request.ek)) << '\n';
    std::cout << text;
    return 0;
}

} // namespace sshtpm::applets
