// keygen's main mode, which makes a key and asks as ssh-keygen does; and --supported.

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

/// The argument of -t.
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

/// From -t and -b. @throws Error(usage) with the types or sizes that exist
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
    throw Error(Errc::usage, "-t " + type + ": no such type of key", "types are ecdsa and rsa");
}

} // namespace

void require_comment(const std::string& comment) {
    try { // caught to name the option
        keyfile::check_description(comment);
    } catch (const Error& error) {
        throw Error(Errc::usage, std::string("-C: ") + error.what());
    }
}

identity::Identity make_key(tpm::Tpm& tpm, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent) {
    // Two jobs: if the TPM is full when the key signs, the key does not have to be made again.
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
    // Before any question, so that nobody answers them in vain.
    const auto tpm = options.tpm.open_tpm();
    auto require_support = [&](tpm::Tpm& opened) {
        try { // caught to name the options
            tpm::require_support(opened.context(), algorithm);
        } catch (const Error& error) {
            throw error.code() == Errc::unsupported
                ? Error(error.code(), error.what(), error.hint() + "; -t and -b choose, such as -t rsa")
                : error;
        }
    };
    tpm->run(require_support);
    if (!options.quiet)
        std::cout << "Generating public/private " << type << " key pair.\n" << std::flush;

    const auto paths = ask_paths(options, type);
    make_ssh_folder(paths, options.quiet);
    const auto existing = may_write(paths);
    if (!existing)
        return 1; // without a message, as ssh-keygen does
    // As in ssh-keygen, -P gives the new PIN too.
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
