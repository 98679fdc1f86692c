// ssh-tpm-keygen: its options, and which mode they mean.

#include "applets/keygen.hpp"

#include "applets/applets.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

#include <charconv>
#include <cstring>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view usage =
    R"(usage: ssh-tpm-keygen [-q] [-t ecdsa|rsa] [-b bits] [-C comment] [-f file] [-N pin]
       ssh-tpm-keygen -l [-v] [-E sha256|md5] [-f file]
       ssh-tpm-keygen -y [-f file]
       ssh-tpm-keygen --print-pubkey file)";

constexpr std::string_view about =
    "Makes a key in the TPM and writes it, sealed, to FILE.tpm, with the public key in FILE.pub. "
    "The private key never leaves the TPM; a PIN, where there is one, is guarded by the TPM's "
    "dictionary-attack protection.";

enum class Mode { create, fingerprint, print_public };

unsigned parse_bits(std::string_view text) {
    unsigned bits = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (failure != std::errc{} || end != text.data() + text.size())
        throw Error(Errc::usage, "-b " + std::string(text) + ": not a number of bits");
    return bits;
}

ssh::FingerprintHash parse_hash(std::string_view word) {
    if (const auto hash = ssh::fingerprint_hash_named(word))
        return *hash;
    throw Error(Errc::usage, "-E " + std::string(word) + ": unknown hash", "sha256 or md5");
}

/// Takes a secret out of the command line, where the process list shows it.
Secret take_secret(char* argument) {
    auto secret = Secret::copy_of(bytes_of(argument));
    std::memset(argument, 'x', std::strlen(argument));
    return secret;
}

struct CommandLine {
    Mode mode = Mode::create;
    KeygenOptions options;
    TpmOptions tpm;

    void choose(Mode chosen) {
        if (mode != Mode::create && mode != chosen)
            throw Error(Errc::usage, "two options that ask for different things");
        mode = chosen;
    }
};

std::vector<cli::Option> option_table(CommandLine& line) {
    auto& o = line.options;
    std::vector<cli::Option> table{
        {.short_name = 't',
         .argument = "TYPE",
         .help = "ecdsa (default) or rsa",
         .apply = [&o](char* type) { o.type = type; }},
        {.short_name = 'b',
         .argument = "BITS",
         .help = "ecdsa 256 (default), 384, 521; rsa 2048 (default), 3072, 4096; as far as the TPM has them",
         .apply = [&o](char* bits) { o.bits = parse_bits(bits); }},
        {.short_name = 'C',
         .argument = "TEXT",
         .help = "the comment (default: user@host)",
         .apply = [&o](char* text) { o.comment = text; }},
        {.short_name = 'f',
         .argument = "FILE",
         .help = "the key file; .tpm is added or dropped as needed (default: ~/.ssh/id_ecdsa or id_rsa)",
         .apply = [&o](char* file) { o.file = file; }},
        {.short_name = 'N',
         .argument = "PIN",
         .help = "the PIN, at most 32 bytes; an empty one means none, and nobody is asked",
         .apply = [&o](char* pin) { o.pin = take_secret(pin); }},
        {.short_name = 'q', .help = "say nothing", .apply = [&o](char*) { o.quiet = true; }},
        {.short_name = 'l',
         .help = "show the fingerprint of a key file",
         .apply = [&line](char*) { line.choose(Mode::fingerprint); }},
        {.short_name = 'v',
         .help = "with -l: the randomart too",
         .apply = [&o](char*) { o.randomart = true; }},
        {.short_name = 'E',
         .argument = "HASH",
         .help = "with -l: sha256 (default) or md5",
         .apply = [&o](char* word) { o.hash = parse_hash(word); }},
        {.short_name = 'y',
         .help = "print the public key of a key file",
         .apply = [&line](char*) { line.choose(Mode::print_public); }},
        {.long_name = "print-pubkey",
         .argument = "FILE",
         .help = "the same, of FILE",
         .apply =
             [&line, &o](char* file) {
                 line.choose(Mode::print_public);
                 o.file = file;
             }},
    };
    line.tpm.add_to(table);
    return table;
}

} // namespace

int run_keygen(std::span<char*> arguments) {
    log::configure("ssh-tpm-keygen", log::Level::info);
    CommandLine line;
    line.options.target = [&line] { return line.tpm.target(); };
    const auto table = option_table(line);
    const auto parsed = cli::parse_options(arguments, table);
    if (parsed.help) {
        std::cout << cli::help_text(usage, about, table);
        return 0;
    }
    if (!parsed.operands.empty())
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[0] + "\"",
                    "a file is named with -f");

    switch (line.mode) {
    case Mode::fingerprint:
        return keygen_fingerprint(line.options);
    case Mode::print_public:
        return keygen_print_public(line.options);
    case Mode::create:
        break;
    }
    return keygen_create(line.options);
}

} // namespace sshtpm::applets
