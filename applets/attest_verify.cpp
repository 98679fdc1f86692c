// SPDX-License-Identifier: MIT
// attest verify and seal: at the certificate authority, without a TPM.

#include "applets/attest.hpp"
#include "applets/host_certificate.hpp"
#include "applets/openssh_link.hpp"
#include "attest/report.hpp"
#include "attest/seal.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "cli/time_span.hpp"
#include "os/sandbox.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/certificate.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fcntl.h>
#include <iostream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view verify_usage =
    "usage: ssh-tpm-attest verify [--ek-roots dir] [--ek-known file] [--nonce text] [--max-age time]\n"
    "                             [--allow-no-eku] [--json] [request | folder]...";

constexpr std::string_view verify_about =
    "Checks requests, and prints the keys that are in a TPM. The TPM's maker must be in --ek-roots, or its "
    "endorsement key in --ek-known. Without a name it reads standard input; of a folder, all files *.json.";

constexpr std::string_view verify_closing = R"(
Exit status
  0 all requests are good, 1 one is not, 2 wrong usage
)";

constexpr std::string_view seal_usage =
    "usage: ssh-tpm-attest seal [options of verify] [--receipts file] request certificate...";

constexpr std::string_view seal_about =
    "Checks a request, and prints a response in which only the TPM that made it can read the certificates.";

constexpr std::size_t max_known_file = std::size_t{64} * 1024 * 1024;

/// The requests that a name stands for: the file, or those in the folder.
/// @throws Error(not_found) for a folder without requests
std::vector<std::string> files_of(const std::string& name) {
    std::error_code failure;
    if (name == "-" || !fs::is_directory(name, failure))
        return {name};
    std::vector<std::string> files;
    for (const auto& file : entries_of(name))
        if (file.extension() == ".json")
            files.push_back(file.string());
    if (files.empty())
        throw Error(Errc::not_found, name + ": no files *.json in this folder");
    return files;
}

/// @returns whether the request was verified
bool verify_file(const std::string& file, const attest::Demands& demands, bool as_json) {
    try { // caught to go on with the next one
        const auto verified = verify_request(file, demands);
        if (as_json) {
            std::cout << attest::report_line(shown_name(file), verified.request, verified.proof);
        } else {
            print_facts(file, verified);
            for (const auto& key : verified.request.keys)
                std::cout << ssh::AuthorizedKey::of(key.ssh, "").line();
        }
        return true;
    } catch (const Error& error) {
        if (as_json)
            std::cout << attest::report_line(shown_name(file), error);
        else
            cli::report("ssh-tpm-attest", error);
        return false;
    }
}

/// Appends a line to a file that only its user can read.
void append_line(const std::string& file, const std::string& line) {
    const UniqueFd out(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
    struct stat status {};
    if (!out || ::fstat(out.value(), &status) != 0)
        throw Error::from_errno(errno, file);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077U) != 0)
        throw Error(Errc::permission, file + ": not a file that only its user can read",
                    "`chmod 600` it: whoever knows a receipt can send it");
    errno = ENOSPC; // a short write does not set it
    if (::write(out.value(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fsync(out.value()) != 0)
        throw Error::from_errno(errno, file);
}

/// The principals of the certificates, with commas between them.
std::string principals_of(const std::string& certificates) {
    std::set<std::string> all;
    for (const auto& [key, shown] : ssh::find_keys(certificates))
        for (const auto& principal : ssh::read_certificate(key.blob).principals)
            all.insert(printable(principal));
    return joined(all);
}

/// "IFX (id:49465800)": the maker's letters in the TCG's vendor ID.
std::string maker_text(std::string_view manufacturer) {
    constexpr std::string_view begin = "id:";
    std::uint32_t id = 0;
    if (manufacturer.starts_with(begin))
        std::from_chars(manufacturer.data() + begin.size(), manufacturer.data() + manufacturer.size(), id,
                        16);
    std::string letters;
    for (unsigned shift = 32; shift > 0; shift -= 8)
        if (const auto letter = static_cast<char>(id >> (shift - 8)); letter > ' ' && letter <= '~')
            letters += letter;
    return letters.empty() ? std::string(manufacturer) : letters + " (" + std::string(manufacturer) + ')';
}

} // namespace

void VerifyOptions::add_to(std::vector<cli::Option>& options) {
    const std::vector<cli::Option> own{
        {"--ek-roots DIR", cli::every_mode,
         "the certificates of TPM makers, PEM or DER: roots, and intermediates between them and the TPM's",
         cli::set(roots)},
        {"--ek-known FILE", cli::every_mode,
         "endorsement keys that are trusted by their Names: lines such as \"000b… web1,web1.example.org\", "
         "with the principals that the machine may have",
         cli::set(known)},
        {"--nonce TEXT", cli::every_mode, "the text that the request must have been made for",
         cli::set(nonce)},
        {"--max-age TIME", cli::every_mode, "without --nonce, how old a request may be (default: 24h)",
         [this](char* text) { max_age = cli::parse_time_span(text); }},
        {"--allow-no-eku", cli::every_mode,
         "take endorsement certificates without the extended key usage too", cli::set(allow_no_eku)},
    };
    options.insert(options.end(), own.begin(), own.end());
}

attest::Demands VerifyOptions::demands() const {
    if (!roots && !known)
        throw Error(Errc::usage, "neither --ek-roots nor --ek-known was given",
                    "one of them says which TPMs are trusted");
    attest::Demands demands;
    try { // caught because exit status 1 means that a request was refused
        if (roots)
            demands.roots = attest::EkRoots::read(*roots);
        if (known) {
            const auto text = read_file(*known, max_known_file, FileKind::any);
            demands.known =
                naming(shown_name(*known), [&] { return attest::parse_known_eks(text_of(text)); });
        }
    } catch (const Error& error) {
        throw Error(Errc::usage, error.what(), error.hint());
    }
    if (nonce)
        attest::require_nonce(*nonce);
    if (nonce && nonce->empty())
        throw Error(Errc::usage, "--nonce is empty", "give the text that the device was given");
    demands.nonce = nonce;
    demands.max_age = max_age;
    demands.eku = allow_no_eku ? attest::Eku::optional : attest::Eku::required;
    return demands;
}

VerifiedRequest verify_request(const std::string& file, const attest::Demands& demands) {
    const auto content = read_file(file, attest::max_request, FileKind::any);
    return naming(shown_name(file), [&] {
        VerifiedRequest verified{.text = std::string(text_of(content)), .request = {}, .proof = {}};
        verified.request = attest::Request::parse(verified.text);
        verified.proof = attest::verify(verified.request, demands);
        return verified;
    });
}

void print_facts(const std::string& file, const VerifiedRequest& verified) {
    const auto& [text, request, proof] = verified;
    std::cerr << shown_name(file) << ": verified\nTPM: ";
    if (const auto& certificate = proof.certificate)
        std::cerr << maker_text(certificate->manufacturer) << ", model " << certificate->model << ", version "
                  << certificate->version << ", by " << certificate->root << '\n';
    else
        std::cerr << "known by its endorsement key, for "
                  << (proof.known->principals.empty() ? "no principals" : joined(proof.known->principals))
                  << '\n';
    std::cerr << "EK: " << hex(proof.ek_name) << "\nAK: " << hex(proof.ak_name) << "\nmade: " << request.made
              << (proof.fresh ? " for the nonce\n" : " (not fresh: --nonce was not given)\n");
    std::cerr << "host, in its own words: " << (request.host.empty() ? "(none)" : request.host) << '\n';
    for (const auto& key : request.keys) {
        const auto has = [&](TPMA_OBJECT bit) { return (key.area.objectAttributes & bit) != 0; };
        std::cerr << "key: " << ssh::fingerprint(key.ssh.blob(), ssh::FingerprintHash::sha256)
                  << (has(TPMA_OBJECT_NODA)
                          ? ", exempt from dictionary-attack protection as keys without a PIN are"
                          : ", with dictionary-attack protection")
                  << (has(TPMA_OBJECT_USERWITHAUTH) ? "" : ", by its policy alone")
                  << (key.area.authPolicy.size != 0 ? ", with a policy" : "") << '\n';
    }
}

std::string certificates_for(const VerifiedRequest& verified, const std::string& file) {
    const auto content = read_file(file, attest::max_sealed, FileKind::any);
    return naming(shown_name(file), [&] {
        std::string lines;
        for (const auto& [key, shown] : ssh::find_keys(text_of(content))) {
            if (!ssh::is_certificate(key.blob))
                malformed("a key, not a certificate");
            const auto certificate = ssh::read_certificate(key.blob);
            if (std::ranges::none_of(verified.request.keys, [&](const auto& asked) {
                    return equal(asked.ssh.blob(), certificate.plain_blob);
                }))
                refuse("the certificate is for a key that the request does not have");
            for (const auto& principal : certificate.principals)
                require_allowed(verified.proof, principal);
            lines += ssh::AuthorizedKey{.type = key.type, .blob = key.blob, .comment = ""}.line();
        }
        if (lines.empty())
            malformed("no certificate");
        return lines;
    });
}

void require_allowed(const attest::Proof& proof, std::string_view principal) {
    if (!proof.known || proof.known->principals.empty())
        return;
    if (std::ranges::find(proof.known->principals, principal) == proof.known->principals.end())
        refuse("--ek-known does not give this endorsement key the principal " + printable(principal));
}

void print_response(const VerifiedRequest& verified, const std::string& certificates,
                    const std::optional<std::string>& receipts) {
    const auto response = attest::seal(verified.request, verified.text, certificates);
    const auto text = response.document.text();
    (void)attest::Sealed::parse(text); // not longer than the device reads
    if (receipts)
        append_line(*receipts, response.receipt + ' ' + hex(verified.proof.ak_name) + ' ' +
                                   hex(verified.proof.ek_name) + ' ' + principals_of(certificates) + '\n');
    std::cout << text;
}

int attest_verify(Call& call) {
    VerifyOptions o;
    bool as_json = false;
    std::vector<cli::Option> table;
    o.add_to(table);
    table.push_back(
        {"--json", cli::every_mode, "print a JSON object a line for each request", cli::set(as_json)});
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, verify_usage, verify_about, table, verify_closing);
    if (parsed.version)
        return show_version();
    os::give_up_network();
    const auto demands = o.demands();
    const auto names = parsed.operands.empty() ? std::vector<std::string>{"-"} : parsed.operands;
    bool all_good = true;
    for (const auto& name : names)
        for (const auto& file : files_of(name))
            all_good = verify_file(file, demands, as_json) && all_good;
    return all_good ? 0 : 1;
}

int attest_seal(Call& call) {
    VerifyOptions o;
    std::optional<std::string> receipts;
    std::vector<cli::Option> table;
    o.add_to(table);
    table.push_back(
        {"--receipts FILE", cli::every_mode,
         "add the receipt that the TPM's owner will send, and the Names of its keys, to this file",
         cli::set(receipts)});
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, seal_usage, seal_about, table, "");
    if (parsed.version)
        return show_version();
    if (parsed.operands.size() < 2)
        throw Error(Errc::usage, "a request and at least one certificate are needed",
                    "`ssh-tpm-attest sign` makes certificates itself");
    os::give_up_network();
    const auto verified = verify_request(parsed.operands[0], o.demands());
    std::string certificates;
    for (std::size_t i = 1; i < parsed.operands.size(); ++i)
        certificates += certificates_for(verified, parsed.operands[i]);
    print_facts(parsed.operands[0], verified);
    print_response(verified, certificates, receipts);
    return 0;
}

} // namespace sshtpm::applets
