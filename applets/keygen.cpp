// SPDX-License-Identifier: MIT
// ssh-tpm-keygen: its options and modes.

#include "applets/keygen.hpp"

#include "applets/applets.hpp"
#include "applets/openssh_link.hpp"
#include "applets/rights.hpp"
#include "applets/tpm_key_file.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "os/paths.hpp"
#include "os/secret_line.hpp"
#include "prompt/answer.hpp"
#include "tpm/session.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view keygen_usage =
    R"(usage: ssh-tpm-keygen [-q] [-t ecdsa|rsa] [-b bits] [-C comment] [-f file]
                      [-N pin | -P pin | --pin-file path]
       ssh-tpm-keygen -p [-t ecdsa|rsa] [-f file] [-P old_pin | --old-pin-file path]
                      [-N new_pin | --pin-file path]
       ssh-tpm-keygen -c [-t ecdsa|rsa] [-f file] [-C comment]
       ssh-tpm-keygen -l [-v] [-t ecdsa|rsa] [-E sha256|md5] [-f file]
       ssh-tpm-keygen -y [-t ecdsa|rsa] [-f file] | --print-pubkey file
       ssh-tpm-keygen --import file [-f file] [-C comment] [-P passphrase | --old-pin-file path]
                      [-N pin | --pin-file path]
       ssh-tpm-keygen --wrap key --wrap-with parent -f file
                      [-P passphrase | --old-pin-file path] [-N pin | --pin-file path]
       ssh-tpm-keygen -A [-t ecdsa|rsa [-b bits]] [-f prefix] [-C comment]
                      [--hierarchy endorsement|owner|platform|null]
       ssh-tpm-keygen --supported)";

constexpr std::string_view keygen_about =
    "Makes a key in the TPM and writes it, sealed, to FILE.tpm, and its public key to FILE.pub. "
    "The private key never leaves the TPM. If the key has a PIN, the TPM counts wrong tries.";

constexpr std::string_view keygen_closing = R"(
Files
  ~/.ssh/id_ecdsa.tpm, id_rsa.tpm    the private key, sealed to this TPM (TSS2 PRIVATE KEY format), mode 0600
  ~/.ssh/id_ecdsa.pub, id_rsa.pub    the public key, as ssh-keygen writes it
  /etc/ssh/ssh_tpm_host_{ecdsa,rsa}_key.tpm and .pub
                                     the host keys of -A, below PREFIX; with --hierarchy only the .pub files

Host keys
  -A may run at every boot: it keeps existing keys, writes a missing .pub file again, and uses the TPM only if
  a key is missing. With --hierarchy the TPM derives the keys from a seed, the same ones each time. No file
  protects them: every member of the group tss may use the TPM and sign with them, unless they are keys of the
  owner hierarchy and it has a password. Keys of the endorsement hierarchy last until the TPM's maker or
  firmware changes its seed, those of the owner hierarchy until the TPM is cleared, and those of the null
  hierarchy until the next boot.

Environment
  SSH_TPM_TCTI                       the TPM, as with --tcti
  SSH_TPM_AGENT_SWTPM, SSH_TPM_SWTPM_STATE
                                     use the emulator; the folder of its state
  SSH_TPM_AGENT_OWNER_PASSWORD       the owner password
  SSH_ASKPASS, SSH_ASKPASS_REQUIRE   the program that asks for PINs, as for ssh-keygen
  DESTDIR                            the prefix of -A without -f

Exit status
  0 success, 1 failure (no file is half-written), 2 wrong usage

Examples
  ssh-tpm keygen                               a key for this user; asks as ssh-keygen does
  ssh-tpm keygen -t rsa -b 3072 -f ~/.ssh/work
  ssh-tpm keygen -p -f ~/.ssh/id_ecdsa         change the PIN
  pass show tpm | ssh-tpm keygen --pin-file -  the PIN from a program that keeps passwords
  ssh-tpm keygen --import ~/.ssh/id_rsa        seal an existing key
  ssh-tpm keygen -A                            the host keys that are missing
  ssh-tpm keygen -A --hierarchy endorsement    host keys without key files, for ssh-tpm agent --hierarchy
)";

constexpr cli::Modes making = 1U << 0, changing_pin = 1U << 1, changing_comment = 1U << 2,
                     fingerprint = 1U << 3, printing_public = 1U << 4, public_key_of = 1U << 5,
                     importing = 1U << 6, wrapping = 1U << 7, host_keys = 1U << 8,
                     telling_supported = 1U << 9;
/// Modes that work on an existing key file; -t selects the default file.
constexpr cli::Modes of_existing_keys = changing_pin | changing_comment | fingerprint | printing_public;

struct RefusedOption {
    std::string_view names, reason, hint;
};

constexpr std::string_view no_cipher = "a TPM key file is not encrypted with its PIN: the TPM checks the PIN",
                           leave_out = "leave it out", other_files = "this needs no TPM: ssh-keygen does it",
                           certificates = "ssh-keygen makes certificates",
                           ca_in_tpm =
                               "with the CA's key in this agent: `ssh-keygen -U -s CA.pub -I NAME KEY.pub`",
                           fido = "it is for keys on FIDO devices", with_ssh_keygen = "use ssh-keygen";

/// Those of OpenSSH 10.5.
constexpr RefusedOption only_of_ssh_keygen[] = {
    {"-a ROUNDS", no_cipher, leave_out},
    {"-Z CIPHER", no_cipher, leave_out},
    {"-m FORMAT", "a TPM key file has one format, TSS2 PRIVATE KEY",
     "for the public key: `ssh-keygen -e -m FORMAT -f KEY.pub`"},
    {"-e", "ssh-keygen converts public keys", "`ssh-keygen -e -f KEY.pub`"},
    {"-i", "ssh-keygen converts public keys", "`--import FILE` seals a private key, PEM and PKCS#8 too"},
    {"-O OPTION", "it is for FIDO devices, certificates and prime numbers", with_ssh_keygen},
    {"-w PROVIDER", fido, with_ssh_keygen},
    {"-K", fido, with_ssh_keygen},
    {"-D PKCS11", "it is for keys of PKCS#11 tokens", with_ssh_keygen},
    {"-s CA", certificates, ca_in_tpm},
    {"-U", certificates, ca_in_tpm},
    {"-n PRINCIPALS", certificates, ca_in_tpm},
    {"-z SERIAL", certificates, ca_in_tpm},
    {"-L", "ssh-keygen shows certificates", "`ssh-keygen -L -f KEY-cert.pub`"},
    {"-Y COMMAND", "ssh-keygen signs files, with keys of an agent too",
     "`ssh-keygen -Y sign -n file -f KEY.pub FILE`"},
    {"-B", other_files, "`ssh-keygen -B -f KEY.pub`"},
    {"-r HOST", other_files, "`ssh-keygen -r HOST -f KEY.pub`"},
    {"-g", other_files, with_ssh_keygen},
    {"-F HOST", other_files, with_ssh_keygen},
    {"-H", other_files, with_ssh_keygen},
    {"-R HOST", other_files, with_ssh_keygen},
    {"-k", other_files, with_ssh_keygen},
    {"-Q", other_files, with_ssh_keygen},
    {"-u", other_files, with_ssh_keygen},
    {"-M COMMAND", other_files, with_ssh_keygen},
};

unsigned parse_bits(std::string_view text) {
    unsigned bits = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (failure != std::errc{} || end != text.data() + text.size())
        throw Error(Errc::usage, "-b " + std::string(text) + ": not a number of bits");
    return bits;
}

/// Copies a secret from the command line and overwrites it there: the process list shows it to all users.
Secret take_secret(char* argument) {
    auto secret = Secret::copy_of(bytes_of(argument));
    std::memset(argument, 'x', std::strlen(argument));
    return secret;
}

/// Reads the files of the PINs and of the owner password, before anything else is read from standard input.
void read_secrets(KeygenOptions& options) {
    const auto files = {options.tpm.owner_password_file(), options.old_pin_file, options.pin_file};
    if (std::ranges::count(files, std::optional<std::string>("-")) > 1)
        throw Error(Errc::usage, "standard input cannot be the file of two PINs or passwords",
                    "give the file of one of them by its name; in bash, <(COMMAND) names the output of one");
    if (auto password = options.tpm.read_owner_password_file())
        give_owner_password(std::move(*password));
    if (options.old_pin_file)
        options.old_pin = os::read_secret_line(*options.old_pin_file, prompt::max_answer);
    if (options.pin_file)
        options.pin = os::read_secret_line(*options.pin_file, tpm::max_pin);
}

std::vector<cli::Option> keygen_option_table(KeygenOptions& o) {
    std::vector<cli::Option> table{
        {"-t TYPE", making | of_existing_keys | host_keys,
         "ecdsa (default) or rsa; with -p, -c, -l and -y it selects the default file, with -A the only host "
         "key to make; names such as ecdsa-sha2-nistp384, which say the size too, and rsa-sha2-512 work as "
         "well",
         [&o](char* word) { o.type = parse_key_type(word); }},
        {"-b BITS", making | host_keys,
         "ecdsa 256 (default), 384, 521; rsa 2048 (default), 3072, 4096; if the TPM has that size; with -A "
         "it needs -t",
         [&o](char* bits) { o.bits = parse_bits(bits); }},
        {"-C TEXT", making | changing_comment | importing | wrapping | host_keys,
         "the comment (default: user@host)", cli::set(o.comment)},
        {"-f FILE", making | of_existing_keys | importing | wrapping | host_keys,
         "the key file; .tpm is added or dropped as needed (default: ~/.ssh/id_ecdsa or id_rsa)",
         cli::set(o.file)},
        {"-N PIN", making | changing_pin | importing | wrapping | host_keys,
         "the new PIN, at most 32 bytes, which is then not asked for; an empty one means none; other users "
         "can read it until the program has started",
         [&o](char* pin) { o.pin = take_secret(pin); }},
        {"-P PIN", making | changing_pin | changing_comment | printing_public | importing | wrapping,
         "the old PIN, or the passphrase of a key to import; for a new key the same as -N; other users can "
         "read it like -N",
         [&o](char* pin) { o.old_pin = take_secret(pin); }},
        {"--pin-file PATH", making | changing_pin | importing | wrapping,
         "the first line of a file is the new PIN; - is standard input; other users must not be able to read "
         "the file",
         cli::set(o.pin_file)},
        {"--old-pin-file PATH", changing_pin | importing | wrapping,
         "the same for the old PIN, or the passphrase of a key to import", cli::set(o.old_pin_file)},
        {"-q", cli::every_mode, "print only errors, warnings and questions", cli::set(o.quiet)},
        {"-v", cli::every_mode, "with -l: show the randomart too", cli::set(o.randomart)},
        {"-E HASH", making | fingerprint | importing, "the hash of fingerprints: sha256 (default) or md5",
         [&o](char* word) { o.hash = parse_hash(word); }},
        {"--parent-handle HANDLE", making | importing | wrapping | host_keys,
         "the parent of a new or imported key: the storage key of a hierarchy (owner, the default, "
         "endorsement, platform or null), or a persistent one, 0x81…",
         [&o](char* word) { o.parent = parse_parent_handle(word); }},
        cli::mode_option("-p", changing_pin, "change the PIN of a key file"),
        cli::mode_option("-c", changing_comment, "change the comment of a key file"),
        cli::mode_option("-l", fingerprint,
                         "show the fingerprints of a .tpm, .pub, authorized_keys or known_hosts file; -f - "
                         "is standard input"),
        cli::mode_option("-y", printing_public, "print the public key of a key file"),
        cli::mode_option("--print-pubkey FILE", public_key_of, "the same, of FILE", cli::set(o.file)),
        cli::mode_option("-A", host_keys,
                         "make the host keys PREFIX/etc/ssh/ssh_tpm_host_{ecdsa,rsa}_key that are missing; "
                         "-f gives the prefix, else it is $DESTDIR"),
        {"--hierarchy H", host_keys,
         "with -A: write only the .pub files of the host keys that the TPM derives from the seed of its "
         "endorsement, owner, platform or null hierarchy (e, o, p, n); ssh-tpm-agent --hierarchy serves "
         "them; those of the null hierarchy change at every boot",
         [&o](char* word) { o.hierarchy = parse_hierarchy(word); }},
        cli::mode_option("--supported", telling_supported,
                         "list the key types and sizes that this TPM makes"),
        cli::mode_option("-I, --import FILE", importing,
                         "seal an existing private key (OpenSSH, PEM, PKCS#8), or make a wrapped .tpm file "
                         "usable; -f gives another name than FILE.tpm",
                         cli::set(o.source)),
        cli::mode_option("--wrap KEY", wrapping,
                         "wrap a private key for the TPM of another machine; needs no TPM",
                         cli::set(o.source)),
        {"--wrap-with PARENT", wrapping,
         "with --wrap: the public area of the storage key of that TPM, as PEM (ssh-tpm(7) has the command) "
         "or TPM2B_PUBLIC (tpm2_readpublic -f tss)",
         cli::set(o.wrap_with)},
    };
    if (o.as_openssh) // with the meanings that they have for ssh-keygen
        table.insert(table.begin(),
                     {{"-a ROUNDS",
                       making | changing_pin}, // scripts give these; they are about a key that is in a file
                      {"-Z CIPHER", making | changing_pin},
                      {"-o", cli::every_mode},
                      cli::refused_option("-h", certificates, ca_in_tpm),
                      cli::refused_option("-V VALIDITY", certificates, ca_in_tpm),
                      cli::refused_option("-I NAME", certificates, ca_in_tpm)});
    for (const auto& each : only_of_ssh_keygen)
        table.push_back(cli::refused_option(each.names, each.reason, each.hint));
    o.tpm.add_to(table, making | changing_pin | importing | host_keys | telling_supported);
    return table;
}

/// Whether a call of ssh-keygen is for a TPM key. New keys are; host keys stay where sshd looks for them.
bool is_for_tpm(cli::Modes mode, const KeygenOptions& options) {
    if (mode == host_keys)
        return options.hierarchy.has_value();
    if ((mode & of_existing_keys) == 0)
        return true;
    if (options.file)
        return names_tpm_key(*options.file);
    const auto folder = os::ssh_folder();
    return std::ranges::any_of(default_key_names, [&](std::string_view name) {
        return (!options.type || name.substr(3).starts_with(options.type->name)) &&
               names_tpm_key(folder / name);
    });
}

} // namespace

int run_keygen(Call& call) {
    log::configure(call.name, log::Level::info);
    KeygenOptions options;
    options.as_openssh = call.as_openssh();
    const auto table = keygen_option_table(options);
    const auto parsed = or_hand_over(call, [&] { return cli::parse_options(call.arguments, table, making); });
    if (parsed.help)
        return show_help(call, keygen_usage, keygen_about, table, keygen_closing);
    if (parsed.version)
        return show_version();
    const auto with_options = [&options](auto* act) { return [act, &options] { return act(options); }; };
    const std::vector<cli::Mode> modes{{making, "making a key", with_options(keygen_create)},
                                       {changing_pin, "-p", with_options(keygen_change_pin)},
                                       {changing_comment, "-c", with_options(keygen_change_comment)},
                                       {fingerprint, "-l", with_options(keygen_fingerprint)},
                                       {printing_public, "-y", with_options(keygen_print_public)},
                                       {public_key_of, "--print-pubkey", with_options(keygen_print_public)},
                                       {importing, "--import", with_options(keygen_import)},
                                       {wrapping, "--wrap", with_options(keygen_wrap)},
                                       {host_keys, "-A", with_options(keygen_host_keys)},
                                       {telling_supported, "--supported", with_options(keygen_supported)}};
    const auto& mode = or_hand_over(call, [&]() -> const cli::Mode& {
        if (!parsed.operands.empty())
            throw cli::NotOurs(Errc::usage, "unexpected argument \"" + parsed.operands[0] + "\"",
                               "-f names a file");
        return cli::fitting_mode(parsed, modes);
    });
    if (call.as_openssh() && !is_for_tpm(mode.bit, options))
        hand_over(call, std::string(mode.name) + ": no TPM key is named");
    call.forget_original(); // it may contain PINs
    cli::require_apart(parsed, "--hierarchy", "--parent-handle");
    if (parsed.mode == making)
        cli::require_apart(parsed, "-N", "-P");
    if (parsed.mode == host_keys)
        cli::require_with(parsed, "-b", "-t");
    cli::require_apart(parsed, "-N", "--pin-file");
    cli::require_apart(parsed, "-P", parsed.mode == making ? "--pin-file" : "--old-pin-file");
    cli::require_apart(parsed, "-o", "--owner-password-file");
    if (parsed.mode == making && !options.comment)
        options.comment = os::user_at_host(); // the list of users may be on the network
    give_up_rights({.network = options.tpm.may_use_network()});
    read_secrets(options);
    return mode.run();
}

} // namespace sshtpm::applets
