// keygen -A: the host keys that are not there yet. It runs at every boot, so that what is there is looked at
// and left alone, and the TPM is opened only for what is missing.

#include "applets/installation.hpp"
#include "applets/keygen_files.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/report.hpp"
#include "identity/hierarchy.hpp"
#include "identity/sign.hpp"
#include "os/paths.hpp"
#include "ssh/authorized_key.hpp"
#include "tpm/create.hpp"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using identity::HostKeyType;

struct HostKey {
    const HostKeyType& type;
    KeyPaths paths;
};

/// Before the TPM works for seconds on a key that could not be written.
void require_writable(const fs::path& folder) {
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        throw Error(errno == EACCES ? Errc::permission : Errc::io,
                    folder.string() + ": " + std::strerror(errno),
                    "the keys are written there: run it as root, and once the file system is writable");
}

/// True for a file without content too: a program that was killed, or a full disk, left that.
bool is_missing(const fs::path& path) {
    std::error_code failure;
    return !is_there(path) || (fs::file_size(path, failure) == 0 && !failure);
}

bool holds(const fs::path& pub, const ssh::PublicKey& key) {
    const auto text = read_file(pub, ssh::max_public_file);
    const auto line = naming(pub.string(), [&] { return ssh::AuthorizedKey::parse(text_of(text)); });
    return equal(line.blob, key.blob());
}

Error other_key(const fs::path& pub, const std::string& whose) {
    return {Errc::exists, pub.string() + ": holds another key than " + whose,
            "remove it to have the right one written"};
}

/// Makes sure that the .pub file is there and this identity's. Somebody else may be at the same work.
void complete(const fs::path& pub, const identity::Identity& identity, const std::string& whose) {
    if (is_missing(pub)) {
        try { // caught because another run may have been faster
            write_file(pub, bytes_of(public_line(*identity.key, identity.public_key)), public_mode,
                       is_there(pub) ? Existing::replace : Existing::keep);
            return;
        } catch (const Error& error) {
            if (error.code() != Errc::exists)
                throw;
        }
    }
    if (!holds(pub, identity.public_key))
        throw other_key(pub, whose);
}

void complete(const KeyPaths& paths) {
    complete(paths.pub, read_identity(paths.key), "the one in " + paths.key.string());
}

/// Looks at a pair of files, and completes it where that needs no TPM. @returns whether a key is to be made.
bool is_wanted(const HostKey& key) {
    // The .pub file is looked for in between: another run, which writes it last, may be at the same work.
    const bool found = is_there(key.paths.key);
    const bool public_missing = is_missing(key.paths.pub);
    if (found || is_there(key.paths.key)) {
        complete(key.paths);
        return false;
    }
    if (public_missing)
        return true;
    throw Error(
        Errc::exists,
        key.paths.pub.string() + ": is there without its private half, " + key.paths.key.string(),
        "a hierarchy's key has none, and is made with --hierarchy; if that was lost, remove the .pub file");
}

/// The same for a key without a private half.
bool is_wanted(const HostKey& key, const tpm::Hierarchy& hierarchy) {
    if (is_there(key.paths.key))
        throw Error(Errc::exists, key.paths.key.string() + ": a host key with a file of its own is there",
                    "remove it and its .pub file to have the " + std::string(hierarchy.name) +
                        " hierarchy's key in its place");
    // The null hierarchy's key of an earlier boot is gone: only there is the TPM asked whose it is.
    return is_missing(key.paths.pub) || hierarchy.handle == TPM2_RH_NULL;
}

void make(tpm::Tpm& tpm, const HostKey& key, const KeygenOptions& options, const std::string& comment) {
    // sshd cannot type a PIN, so a host key has none.
    const auto identity = make_key(tpm, key.type.algorithm, nullptr, comment, options.parent_or_owner());
    try { // caught because another run may have been faster: its key is the host's then
        StagedFile private_half(key.paths.key, bytes_of(keyfile::to_key_file(*identity.key)), private_mode,
                                Existing::keep);
        StagedFile public_half(key.paths.pub, bytes_of(public_line(*identity.key, identity.public_key)),
                               public_mode, is_there(key.paths.pub) ? Existing::replace : Existing::keep);
        // The first stays when the second fails: another run may be completing it at this moment.
        private_half.commit();
        public_half.commit();
    } catch (const Error& error) {
        if (error.code() != Errc::exists)
            throw;
    }
    complete(key.paths);
}

void derive(tpm::Tpm& tpm, const HostKey& key, const tpm::Hierarchy& hierarchy, const std::string& comment) {
    auto make = [&](tpm::Tpm& opened) {
        return identity::hierarchy_identity(opened, hierarchy, key.type, comment);
    };
    const auto identity = tpm.run(make);
    auto prove = [&](tpm::Tpm& opened) {
        identity::prove(opened, identity, nullptr);
        opened.keys().flush();
    };
    tpm.run(prove);
    complete(key.paths.pub, identity,
             "the one that the TPM makes in its " + std::string(hierarchy.name) + " hierarchy now");
}

bool has_type(tpm::Tpm& tpm, const HostKeyType& type) {
    auto job = [&](tpm::Tpm& opened) { return tpm::supports(opened.context(), type.algorithm); };
    return tpm.run(job);
}

/// Makes what is missing. @returns how many keys that is.
std::size_t make_missing(const std::vector<HostKey>& missing, const KeygenOptions& options) {
    const auto comment = options.comment.value_or("root@" + os::host_name());
    require_comment(comment);
    const auto tpm = options.tpm.open_tpm();
    std::size_t made = 0;
    for (const auto& key : missing) {
        if (!has_type(*tpm, key.type)) {
            log::info("warning: this TPM makes no ", tpm::describe(key.type.algorithm), " keys: no ",
                      printable(key.paths.pub.string()));
            continue;
        }
        if (!options.quiet && is_missing(key.paths.pub))
            std::cout << "ssh-tpm-keygen: generating new host key: " << key.type.label << '\n' << std::flush;
        if (options.hierarchy)
            derive(*tpm, key, *options.hierarchy, comment);
        else
            make(*tpm, key, options, comment);
        ++made;
    }
    return made;
}

} // namespace

int keygen_host_keys(const KeygenOptions& options) {
    if (options.pin && !options.pin->empty())
        throw Error(Errc::usage, "-N: a host key has no PIN, because sshd cannot type one",
                    "-N '' or no -N makes host keys");
    ::umask(022); // so that no folder is narrower than it should be when this is killed right behind mkdir
    const auto prefix = options.file ? *options.file : destdir();
    const auto folder = fs::path(prefix + "/etc/ssh");
    if (!prefix.empty())
        require_inside(prefix, folder);
    make_folders(folder, 0755);
    if (options.hierarchy && options.hierarchy->handle == TPM2_RH_NULL)
        log::info(
            "warning: the null hierarchy's keys change at every reset of the TPM, and so at every boot: "
            "whoever knows this host will be told that it is another");
    int status = 0;
    std::vector<HostKey> missing;
    for (const auto& type : identity::host_key_types) {
        const HostKey key{type,
                          paths_for((folder / ("ssh_tpm_host_" + std::string(type.word) + "_key")).string())};
        try { // caught to see to the other key too
            if (options.hierarchy ? is_wanted(key, *options.hierarchy) : is_wanted(key))
                missing.push_back(key);
        } catch (const Error& error) {
            status = cli::report(log::program(), error);
        }
    }
    if (missing.empty())
        return status;
    require_writable(folder);
    if (make_missing(missing, options) == 0 && missing.size() == identity::host_key_types.size())
        throw identity::no_host_key_type();
    return status;
}

} // namespace sshtpm::applets
