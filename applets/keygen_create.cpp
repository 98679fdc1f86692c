// keygen's main mode: a new key, with the dialogue of ssh-keygen. And the list of what a TPM can make.

#include "applets/keygen_dialogue.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "identity/sign.hpp"
#include "keyfile/key_file.hpp"
#include "os/paths.hpp"
#include "tpm/create.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

/// As -t has it.
std::string_view type_of(const tpm::KeyAlgorithm& algorithm) {
    return algorithm.type == TPM2_ALG_ECC ? "ecdsa" : "rsa";
}

KeyPaths ask_paths(const KeygenOptions& options, const std::string& type) {
    if (options.file)
        return paths_for(*options.file);
    const auto base = (os::ssh_folder() / ("id_" + type)).string();
    if (options.quiet || !interactive())
        return paths_for(base);
    const auto answer = ask_line("Enter file in which to save the key (" + base + "): ");
    if (!answer)
        throw Error(Errc::refused, "no file was named");
    return paths_for(answer->empty() ? base : *answer);
}

void require_support(tpm::Tpm& tpm, const tpm::KeyAlgorithm& algorithm) {
    auto job = [&](tpm::Tpm& opened) { tpm::require_support(opened.context(), algorithm); };
    tpm.run(job);
}

/// From -t and -b. @throws Error(usage), listing what there is.
tpm::KeyAlgorithm choose_algorithm(const std::string& type, std::optional<unsigned> bits) {
    std::string sizes;
    for (const auto& algorithm : tpm::usual_algorithms) {
        if (type_of(algorithm) != type)
            continue;
        if (!bits || tpm::bits_of(algorithm) == *bits)
            return algorithm;
        sizes += (sizes.empty() ? "" : ", ") + std::to_string(tpm::bits_of(algorithm));
    }
    if (!sizes.empty())
        throw Error(Errc::usage, "-b " + std::to_string(*bits) + ": no such size of " + type + " key",
                    "sizes are " + sizes);
    throw Error(Errc::usage, "-t " + type + ": a TPM makes no such key", "types are ecdsa and rsa");
}

} // namespace

void require_comment(const std::string& comment) {
    try { // caught to say where it comes from
        keyfile::check_description(comment);
    } catch (const Error& error) {
        throw Error(Errc::usage, std::string("-C: ") + error.what());
    }
}

identity::Identity make_key(tpm::Tpm& tpm, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent) {
    // Two jobs: a TPM that is full when the key is tried does not have to make it again.
    auto create = [&](tpm::Tpm& opened) { return tpm::create_key(opened, algorithm, auth, parent); };
    auto key = tpm.run(create);
    key.description = comment;
    auto identity = identity::make_identity(std::move(key), comment);
    auto prove = [&](tpm::Tpm& opened) { identity::prove(opened, identity, auth); };
    tpm.run(prove);
    tell_parent(*identity.key, parent);
    return identity;
}

int keygen_create(const KeygenOptions& options) {
    const auto type = options.type.value_or("ecdsa");
    const auto algorithm = choose_algorithm(type, options.bits);
    const auto comment = options.comment.value_or(os::user_at_host());
    require_comment(comment);
    // Before any question: nobody should answer them all and then hear that there is no TPM.
    const auto tpm = options.tpm.open_tpm();
    require_support(*tpm, algorithm);
    if (!options.quiet)
        std::cout << "Generating public/private " << type << " key pair.\n" << std::flush;

    const auto paths = ask_paths(options, type);
    make_ssh_folder(paths, options.quiet);
    const auto existing = may_write(paths);
    if (!existing)
        return 1; // without a word, as ssh-keygen does
    // ssh-keygen takes the new one from -P too.
    const auto auth = new_pin(options.old_pin ? options.old_pin : options.pin,
                              "Enter passphrase (empty for no passphrase): ");
    const auto identity = make_key(*tpm, algorithm, auth, comment, options.parent_or_owner());
    write_key(paths, *identity.key, identity.public_key, *existing, *existing);
    if (!options.quiet)
        show_key(paths, identity, options.hash);
    return 0;
}

int keygen_supported(const KeygenOptions& options) {
    const auto tpm = options.tpm.open_tpm();
    auto job = [](tpm::Tpm& opened) {
        std::string lines;
        const auto supported = tpm::supported_algorithms(opened.context());
        for (const std::string_view type : {"ecdsa", "rsa"}) {
            std::string sizes;
            for (const auto& algorithm : supported)
                if (type_of(algorithm) == type)
                    sizes.append(" ").append(std::to_string(tpm::bits_of(algorithm)));
            if (!sizes.empty())
                lines.append(type).append(" bit lengths:").append(sizes).append("\n");
        }
        return lines;
    };
    std::cout << tpm->run(job);
    return 0;
}

} // namespace sshtpm::applets
