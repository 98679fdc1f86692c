// keygen's main mode: a new key, with the dialogue of ssh-keygen.

#include "applets/keygen.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "identity/sign.hpp"
#include "os/paths.hpp"
#include "prompt/ask.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/randomart.hpp"
#include "tpm/create.hpp"
#include "tpm/device.hpp"
#include "tpm/pin.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// A line of keygen's table of key types.
struct KeyChoice {
    std::string_view type;
    unsigned bits; ///< the first of a type is its default
    tpm::KeyAlgorithm algorithm;
};

constexpr std::array choices{
    KeyChoice{"ecdsa", 256, {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}},
    KeyChoice{"ecdsa", 384, {TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0}},
    KeyChoice{"ecdsa", 521, {TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0}},
    KeyChoice{"rsa", 2048, {TPM2_ALG_RSA, 0, 2048}},
    KeyChoice{"rsa", 3072, {TPM2_ALG_RSA, 0, 3072}},
    KeyChoice{"rsa", 4096, {TPM2_ALG_RSA, 0, 4096}},
};

tpm::KeyAlgorithm choose_algorithm(const std::string& type, std::optional<unsigned> bits) {
    std::string sizes;
    for (const auto& choice : choices) {
        if (choice.type != type)
            continue;
        if (!bits || choice.bits == *bits)
            return choice.algorithm;
        sizes += (sizes.empty() ? "" : ", ") + std::to_string(choice.bits);
    }
    if (!sizes.empty())
        throw Error(Errc::usage, "-b " + std::to_string(*bits) + ": no such size of " + type + " key",
                    "sizes are " + sizes);
    throw Error(Errc::usage, "-t " + type + ": a TPM makes no such key", "types are ecdsa and rsa");
}

/// A line from standard input, as ssh-keygen reads answers that are no secrets. Nothing at its end.
std::optional<std::string> ask_line(const std::string& question) {
    std::cout << question << std::flush;
    std::string line;
    if (!std::getline(std::cin, line))
        return std::nullopt;
    return line;
}

/// The names of the two files of a key.
struct KeyPaths {
    fs::path key, pub;
};

KeyPaths paths_for(std::string base) {
    constexpr std::string_view ending = ".tpm";
    if (base.size() > ending.size() && base.ends_with(ending))
        base.resize(base.size() - ending.size());
    if (base.empty() || base.back() == '/')
        throw Error(Errc::usage, "\"" + base + "\" names no file");
    return {.key = base + ".tpm", .pub = base + ".pub"};
}

KeyPaths ask_paths(const KeygenOptions& options) {
    if (options.file)
        return paths_for(*options.file);
    const auto base = (os::ssh_folder() / ("id_" + options.type)).string();
    if (options.quiet || ::isatty(STDIN_FILENO) == 0)
        return paths_for(base);
    const auto answer = ask_line("Enter file in which to save the key (" + base + "): ");
    if (!answer)
        throw Error(Errc::refused, "no file was named");
    return paths_for(answer->empty() ? base : *answer);
}

void make_ssh_folder(const KeyPaths& paths, bool quiet) {
    const auto folder = os::ssh_folder();
    if (paths.key.parent_path() == folder && make_folder(folder, 0700) && !quiet)
        std::cout << "Created directory '" << folder.string() << "'.\n";
}

/// Nothing when the person at the terminal says no. @throws Error(exists) when there is no terminal.
std::optional<Existing> confirm_overwrite(const KeyPaths& paths) {
    std::error_code ignored;
    for (const auto& path : {paths.key, paths.pub}) {
        if (!fs::exists(fs::symlink_status(path, ignored)))
            continue;
        if (::isatty(STDIN_FILENO) == 0)
            throw Error(Errc::exists, path.string() + " already exists", "choose another file with -f");
        std::cout << path.string() << " already exists.\n";
        const auto answer = ask_line("Overwrite (y/n)? ");
        if (!answer || answer->empty() || (answer->front() != 'y' && answer->front() != 'Y'))
            return std::nullopt;
        return Existing::replace;
    }
    return Existing::keep;
}

Secret ask_pin_once(const std::string& question) {
    auto answer = prompt::ask_and_wait(question, prompt::Program::tool);
    if (!answer)
        throw Error(Errc::refused, "no PIN was given", "-N '' makes a key without one");
    return std::move(*answer);
}

tpm::Auth ask_pin(const KeygenOptions& options) {
    if (options.pin)
        return tpm::to_auth(Secret::copy_of(options.pin->view()));
    for (;;) {
        auto first = ask_pin_once("Enter passphrase (empty for no passphrase): ");
        const auto again = ask_pin_once("Enter same passphrase again: ");
        if (same_secret(first, again))
            return tpm::to_auth(std::move(first));
        std::cerr << "Passphrases do not match.  Try again.\n";
    }
}

/// Made, tried and checked in the TPM.
identity::Identity make_key(tpm::Device& device, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment) {
    const auto turn = device.take_turn();
    auto key = tpm::create_key(device, algorithm, auth);
    key.description = comment;
    auto identity = identity::make_identity(std::move(key), comment);
    identity::prove(device, identity, auth);
    return identity;
}

void write_files(const KeyPaths& paths, const identity::Identity& identity, const std::string& comment,
                 Existing existing) {
    const auto& key = identity.public_key;
    const ssh::AuthorizedKey line{
        .type = std::string(ssh::info(key.type()).name), .blob = copy_of(key.blob()), .comment = comment};
    write_file(paths.key, bytes_of(keyfile::to_pem(*identity.key)), 0600, existing);
    write_file(paths.pub, bytes_of(line.line()), 0644, existing);
}

void show_result(const KeyPaths& paths, const identity::Identity& identity, const std::string& comment) {
    const auto blob = identity.public_key.blob();
    std::cout << "Your identification has been saved in " << paths.key.string() << '\n'
              << "Your public key has been saved in " << paths.pub.string() << '\n'
              << "The key fingerprint is:\n"
              << ssh::fingerprint(blob) << ' ' << comment << '\n'
              << "The key's randomart image is:\n"
              << ssh::randomart(ssh::describe(blob)) << '\n';
}

} // namespace

int keygen_create(const KeygenOptions& options) {
    const auto algorithm = choose_algorithm(options.type, options.bits);
    const auto comment = options.comment.value_or(os::user_at_host());
    if (!is_printable(comment))
        throw Error(Errc::usage, "-C: a comment is UTF-8 text without control characters");

    // Before any question: nobody should answer them all and then hear that there is no TPM.
    tpm::Device device(options.target());
    {
        const auto turn = device.take_turn();
        tpm::require_support(device.context(), algorithm);
    }
    if (!options.quiet)
        std::cout << "Generating public/private " << options.type << " key pair.\n" << std::flush;
    const auto paths = ask_paths(options);
    make_ssh_folder(paths, options.quiet);
    const auto existing = confirm_overwrite(paths);
    if (!existing)
        return 1; // without a word, as ssh-keygen does
    const auto auth = ask_pin(options);
    const auto identity = make_key(device, algorithm, auth, comment);
    write_files(paths, identity, comment, *existing);
    if (!options.quiet)
        show_result(paths, identity, comment);
    return 0;
}

} // namespace sshtpm::applets
