// SPDX-License-Identifier: MIT
// attest sign: verifies a request, has ssh-keygen sign its keys, and seals the certificates.

#include "applets/attest.hpp"
#include "applets/host_certificate.hpp"
#include "applets/openssh_link.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/staged_file.hpp"
#include "os/child.hpp"
#include "os/private_folder.hpp"
#include "os/sandbox.hpp"
#include "os/signals.hpp"
#include "ssh/authorized_key.hpp"

namespace sshtpm::applets {

namespace {

constexpr std::string_view sign_usage =
    "usage: ssh-tpm-attest sign -s ca_key -V validity [-hU] [-n principals] [-I identity] [-z serial]\n"
    "                           [-O option]... [options of verify] [--receipts file] [request]";

constexpr std::string_view sign_about =
    "Checks a request, has ssh-keygen sign its keys, and prints a response in which only the TPM that made "
    "the request can read the certificates. -s, -h, -U, -I, -n, -V, -z and -O are those of ssh-keygen.";

struct SignOptions {
    VerifyOptions verify;
    std::optional<std::string> ca, identity, principals, validity, serial, receipts;
    std::vector<std::string> extras; ///< -O
    bool host = false, from_agent = false;
};

/// Those of -n, which must be among those of --ek-known if it names any; else all of --ek-known. Never those
/// that the request asks for.
std::string principals_for(const SignOptions& options, const attest::Proof& proof) {
    if (!options.principals) {
        if (!proof.known || proof.known->principals.empty())
            throw Error(Errc::usage, "no principals: --ek-known has none for this endorsement key",
                        "-n NAMES gives them; the host name in a request proves nothing, so it is not used");
        return joined(proof.known->principals);
    }
    if (options.principals->empty() || options.principals->ends_with(','))
        throw Error(Errc::usage, "-n: an empty principal");
    for (std::string_view rest = *options.principals; !rest.empty();) {
        const auto principal = take_item(rest, ',');
        if (principal.empty() || !is_printable(principal) || principal.find(' ') != principal.npos)
            throw Error(Errc::usage, "-n: an empty principal, or one with blanks or control characters");
        require_allowed(proof, principal);
    }
    return *options.principals;
}

std::vector<std::string> keygen_call(const SignOptions& options, const VerifiedRequest& verified,
                                     const std::string& principals) {
    std::vector<std::string> call{next_program("ssh-keygen"),
                                  "-q",
                                  "-s",
                                  *options.ca,
                                  "-n",
                                  principals,
                                  "-I",
                                  options.identity.value_or(principals),
                                  "-V",
                                  *options.validity};
    if (options.from_agent)
        call.emplace_back("-U");
    if (options.host)
        call.emplace_back("-h");
    if (options.serial)
        call.insert(call.end(), {"-z", *options.serial});
    for (const auto& extra : options.extras)
        call.insert(call.end(), {"-O", extra});
    call.insert(call.end(), {"-O", "extension:" + std::string(attestation_extension) + "=" +
                                       hex(verified.proof.ak_name)});
    return call;
}

/// @returns the certificates, one a line
std::string sign_keys(const SignOptions& options, const VerifiedRequest& verified,
                      const std::string& principals) {
    const os::BlockedSignals until_removed(os::ending_signals());
    const os::PrivateFolder folder(os::PrivateFolder::Place::in_memory);
    auto call = keygen_call(options, verified, principals);
    std::vector<std::string> certificates;
    for (std::size_t i = 0; i < verified.request.keys.size(); ++i) {
        const auto name = (folder.path() / std::to_string(i)).string();
        const auto line = ssh::AuthorizedKey::of(verified.request.keys[i].ssh, "").line();
        write_file(name + ".pub", bytes_of(line), 0600, Existing::keep);
        call.push_back(name + ".pub");
        certificates.push_back(name + "-cert.pub");
    }
    os::Child keygen(call, {});
    os::wait_or_end(keygen.pidfd()); // it may ask for a passphrase at the terminal
    if (const int status = keygen.wait(); status != 0)
        throw Error(Errc::io, "ssh-keygen could not sign the keys: exit status " + std::to_string(status));
    std::string lines;
    for (const auto& certificate : certificates)
        lines += certificates_for(verified, certificate);
    return lines;
}

} // namespace

int attest_sign(Call& call) {
    SignOptions o;
    std::vector<cli::Option> table{
        {"-s CA", cli::every_mode, "the key of the certificate authority; with -U its public half",
         cli::set(o.ca)},
        {"-U", cli::every_mode, "the certificate authority's key is in an agent", cli::set(o.from_agent)},
        {"-h", cli::every_mode, "make host certificates instead of users'", cli::set(o.host)},
        {"-n PRINCIPALS", cli::every_mode, "the names for the certificates (default: those in --ek-known)",
         cli::set(o.principals)},
        {"-I IDENTITY", cli::every_mode, "the key identity (default: the principals)", cli::set(o.identity)},
        {"-V VALIDITY", cli::every_mode, "the time in which the certificates are valid",
         cli::set(o.validity)},
        {"-z SERIAL", cli::every_mode, "the serial number", cli::set(o.serial)},
        {"-O OPTION", cli::every_mode, "an option of the certificate; may be given several times",
         [&o](char* option) { o.extras.emplace_back(option); }},
        {"--receipts FILE", cli::every_mode,
         "add the receipt that the TPM's owner will send, the Names of its keys, and the principals to this "
         "file",
         cli::set(o.receipts)},
    };
    o.verify.add_to(table);
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, sign_usage, sign_about, table, "");
    if (parsed.version)
        return show_version();
    if (parsed.operands.size() > 1)
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[1] + "\"",
                    "one request at a time");
    if (!o.ca)
        throw Error(Errc::usage, "-s is missing: the key of the certificate authority");
    if (!o.validity)
        throw Error(Errc::usage, "-V is missing: the time in which the certificates are valid",
                    "such as `-V -5m:+52w`; `-V always:forever` makes certificates without an end");
    for (const auto& extra : o.extras)
        if (extra.find(attestation_extension) != std::string::npos)
            throw Error(Errc::usage, "-O: sign itself gives the certificate this extension");
    os::give_up_new_privileges();
    const auto file = parsed.operands.empty() ? std::string("-") : parsed.operands[0];
    const auto verified = verify_request(file, o.verify.demands());
    print_facts(file, verified);
    const auto principals = principals_for(o, verified.proof);
    print_response(verified, sign_keys(o, verified, principals), o.receipts);
    return 0;
}

} // namespace sshtpm::applets
