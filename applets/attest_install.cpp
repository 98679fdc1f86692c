// SPDX-License-Identifier: MIT
// attest install: opens the certificate authority's answer in the TPM that has made the request.

#include "applets/attest.hpp"
#include "applets/host_certificate.hpp"
#include "applets/keygen_files.hpp"
#include "applets/openssh_link.hpp"
#include "applets/pending_requests.hpp"
#include "applets/rights.hpp"
#include "applets/tpm_options.hpp"
#include "attest/seal.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/staged_file.hpp"
#include "identity/hierarchy.hpp"
#include "identity/identity.hpp"
#include "keyfile/credential.hpp"
#include "keyfile/object_name.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/certificate.hpp"
#include "ssh/verify.hpp"
#include "tpm/attestation.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view install_usage = "usage: ssh-tpm-attest install --ca file [--force] [response]";

constexpr std::string_view install_about =
    "Opens the certificate authority's answer in the TPM, writes each certificate beside its key "
    "(KEY-cert.pub), and prints a receipt. Sent to the certificate authority, it proves that this TPM has "
    "opened the answer.";

attest::Opened open_response(tpm::Tpm& tpm, const attest::Sealed& sealed) {
    const auto credential = keyfile::parse_credential(sealed.credential);
    attest::Opened opened;
    auto job = [&](tpm::Tpm& open) {
        const auto endorsement = tpm::read_endorsement(open);
        const auto ek_name = keyfile::object_name(tpm::endorsement_public(open, *endorsement.key));
        const auto ak = tpm::load_attestation_key(open);
        const auto secret =
            tpm::activate_credential(open, *endorsement.key, ak, credential.id_object, credential.secret);
        opened = attest::open(sealed, secret, ek_name, tpm::name_of(open.context(), ak.tr()));
    };
    tpm.run(job);
    return opened;
}

/// @throws Error(malformed) for a line of the response with anything in front of a certificate
ssh::AuthorizedKey certificate_line(std::string_view line) {
    const auto certificates = ssh::find_keys(line);
    if (certificates.size() != 1 || !ssh::is_certificate(certificates[0].key.blob) ||
        !certificates[0].key.comment.empty() || certificates[0].key.text() != line)
        malformed("the response has something else than certificates");
    return certificates[0].key;
}

/// The public key beside the certificate: that of the key file, or of the .pub file of a hierarchy's key.
Bytes key_beside(const fs::path& base) {
    if (auto key = fs::path(base) += ".tpm"; is_there(key))
        return copy_of(read_identity(key).public_key.blob());
    return ssh::AuthorizedKey::read(fs::path(base) += ".pub").blob;
}

/// The time from which the certificate in a file is valid; nothing if there is no file.
/// @throws Error for a file that holds something else
std::optional<std::uint64_t> installed_since(const fs::path& file) {
    if (!is_there(file))
        return std::nullopt;
    try { // caught for the hint
        return ssh::read_certificate(ssh::AuthorizedKey::read(file).blob).valid_after;
    } catch (const Error& error) {
        throw Error(error.code(), std::string("it is no certificate: ") + error.what(),
                    "--force replaces it");
    }
}

std::string time_of(std::uint64_t time) {
    constexpr std::uint64_t year_9999 = 253402300799;
    return time > year_9999 ? "forever"
                            : attest::time_text(std::chrono::sys_seconds(std::chrono::seconds(time)));
}

/// A certificate that may be installed.
struct Installable {
    fs::path file;
    std::string line;
    std::string facts; ///< for a person
};

void require_valid_now(const ssh::CertificateBlob& certificate) {
    const auto now = std::chrono::system_clock::now();
    if (!certificate.has_begun(now) || certificate.has_expired(now))
        refuse("the certificate is valid from " + time_of(certificate.valid_after) + " to " +
                   time_of(certificate.valid_before) + ", not now",
               "look at the clock of this machine, or ask for a new one");
}

/// @throws Error(refused) for a certificate that another CA signed, that is for another key, that is not
///     valid now, or that is older than the file's
Installable judge(const ssh::AuthorizedKey& line, ByteView authority, const std::vector<RequestedKey>& keys,
                  bool force) {
    const auto certificate = ssh::read_certificate(line.blob);
    const auto key = std::ranges::find_if(
        keys, [&](const auto& asked) { return equal(asked.blob, certificate.plain_blob); });
    if (key == keys.end())
        refuse("the response has a certificate for a key that was not in the request");
    const fs::path file = identity::certificate_file(key->base);
    return naming(file.string(), [&] {
        if (!equal(certificate.signature_key, authority) ||
            !ssh::verify_signature(authority, certificate.signature, certificate.signed_part))
            refuse("the certificate is not by the certificate authority of --ca");
        if (!equal(key_beside(key->base), key->blob))
            refuse("the key beside it is another one now", "make a new request");
        require_valid_now(certificate);
        const bool is_host = certificate.role == ssh::host_role;
        if (identity::has_host_key_name(key->base) && !is_host)
            refuse("a user's certificate for a host key",
                   "the certificate authority makes one of a host with -h");
        const auto since = force ? std::nullopt : installed_since(file);
        if (since && *since > certificate.valid_after)
            refuse("the certificate is valid from " + time_of(certificate.valid_after) +
                       ", the installed one from " + time_of(*since),
                   "--force replaces it");
        return Installable{file,
                           ssh::AuthorizedKey{line.type, line.blob, key->base.filename().string()}.line(),
                           std::string(is_host ? "host" : "user") + " certificate for " +
                               printable(joined(certificate.principals)) + ", valid to " +
                               time_of(certificate.valid_before)};
    });
}

Bytes read_authority(const std::string& file) {
    const auto content = read_file(file, ssh::max_public_file, FileKind::any);
    try { // caught for the hint
        return ssh::AuthorizedKey::parse_only_line(text_of(content)).blob;
    } catch (const Error& error) {
        throw Error(error.code(), shown_name(file) + ": " + error.what(),
                    "give the public half of one key, as in ca.pub");
    }
}

} // namespace

int attest_install(Call& call) {
    std::optional<std::string> ca;
    bool force = false;
    TpmOptions tpm_options;
    std::vector<cli::Option> table{
        {"--ca FILE", cli::every_mode, "the public key of the certificate authority", cli::set(ca)},
        {"--force", cli::every_mode, "replace a newer certificate", cli::set(force)},
    };
    tpm_options.add_target_to(table, cli::every_mode);
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, install_usage, install_about, table, "");
    if (parsed.version)
        return show_version();
    if (parsed.operands.size() > 1)
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[1] + "\"",
                    "one response at a time");
    if (!ca)
        throw Error(Errc::usage, "--ca is missing",
                    "anybody can seal certificates for this TPM; the CA's public key shows whose they are");
    give_up_rights({.network = tpm_options.may_use_network()});
    const auto authority = read_authority(*ca);
    const std::string file = parsed.operands.empty() ? "-" : parsed.operands[0];
    const auto content = read_file(file, attest::max_sealed, FileKind::any);
    const auto sealed = naming(shown_name(file), [&] { return attest::Sealed::parse(text_of(content)); });
    const auto keys = naming(shown_name(file), [&] { return find_request(sealed.request); });

    const auto tpm = tpm_options.open_tpm();
    const auto opened = naming(shown_name(file), [&] { return open_response(*tpm, sealed); });
    std::vector<Installable> certificates;
    for (std::string_view rest = opened.certificates; !rest.empty();)
        certificates.push_back(
            judge(naming(shown_name(file), [&] { return certificate_line(take_line(rest)); }), authority,
                  keys, force));
    if (certificates.empty())
        malformed(shown_name(file) + ": the response has no certificate");
    for (const auto& [path, line, facts] : certificates) {
        write_file(path, bytes_of(line), 0644, Existing::replace);
        std::cerr << facts << ": saved in " << path.string() << '\n';
    }
    if (std::ranges::any_of(certificates,
                            [](const auto& each) { return identity::has_host_key_name(each.file); }))
        std::cerr << "Run \"ssh-tpm hostkeys --install-sshd-config\" to give it to sshd.\n";
    std::cout << opened.receipt << '\n';
    return 0;
}

} // namespace sshtpm::applets
