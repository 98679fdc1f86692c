// SPDX-License-Identifier: MIT
// ssh-tpm-add -d and -D: removes keys from the agent.

#include "applets/add_files.hpp"
#include "base/printable.hpp"
#include "ssh/authorized_key.hpp"

#include <algorithm>
#include <iostream>

namespace sshtpm::applets {

namespace {

class Removal {
  public:
    Removal(protocol::Client& agent, const AddOptions& options)
        : agent_(agent), options_(options), before_(agent.list()) {}

    /// Removes the key of a file and its certificate, and prints failures. @returns whether one was removed
    bool file(const std::string& name) {
        const auto half = read_public_half(name);
        const bool is_certificate = half.certificate_file.empty();
        const bool removed = wanted(is_certificate) && attempt(half);
        if (is_certificate || !wanted(true))
            return removed;
        try { // caught because the key may have been removed
            return remove_certificate(half) || removed;
        } catch (const Error& error) {
            add_failure(error);
            return removed;
        }
    }

    /// Removes the keys whose public keys are on standard input, a line each.
    bool standard_input() {
        bool any = false;
        std::string line;
        for (int number = 1; std::getline(std::cin, line); ++number) {
            const auto begin = line.find_first_not_of(" \t\r");
            if (begin != std::string::npos && line[begin] != '#')
                any = remove_line(line, number) || any;
        }
        return any;
    }

  private:
    bool wanted(bool is_certificate) const {
        return is_certificate ? !options_.key_only : !options_.certificate_only;
    }

    /// The certificate beside the key, if it exists.
    bool remove_certificate(const PublicHalf& key) {
        const auto certificate = read_public_file(key.certificate_file);
        if (!certificate && options_.certificate_only)
            throw Error(Errc::not_found, key.shown + ": no certificate " + key.certificate_file.string());
        if (!certificate)
            return false;
        if (!equal(ssh::describe(certificate->blob).plain_blob, key.blob))
            throw Error(Errc::malformed,
                        "Certificate " + certificate->shown + " does not match private key " + key.shown);
        return attempt(*certificate);
    }

    bool remove_line(const std::string& line, int number) {
        try { // caught to go on with the next line
            auto key = ssh::AuthorizedKey::parse(line);
            const bool is_certificate = !equal(ssh::describe(key.blob).plain_blob, key.blob);
            return wanted(is_certificate) &&
                   attempt({std::move(key.blob), std::move(key.comment), "(stdin)", {}});
        } catch (const Error& error) {
            add_failure(error.about("(stdin):" + std::to_string(number) + ": invalid key"));
            return false;
        }
    }

    bool attempt(const PublicHalf& half) {
        try { // caught because the other half may still be removed
            remove(half.blob);
        } catch (const Error& error) {
            add_failure({error.code(), "Could not remove identity \"" + half.shown + "\": " + error.what(),
                         error.hint()});
            return false;
        }
        const auto comment = half.comment.empty() ? std::string("no comment") : half.comment;
        const auto text =
            "Identity removed: " + half.shown + " " + ssh::describe(half.blob).label + " (" + comment + ")";
        if (!options_.quiet)
            std::cerr << printable(text, text.size()) << '\n';
        return true;
    }

    /// An agent may remove a certificate together with its key.
    void remove(ByteView blob) {
        if (removed_ && listed(before_, blob) && !listed(agent_.list(), blob))
            return;
        agent_.remove(blob);
        removed_ = true;
    }

    protocol::Client& agent_;
    const AddOptions& options_;
    std::vector<protocol::AgentKey> before_;
    bool removed_ = false; ///< a key has been removed
};

} // namespace

int add_remove(protocol::Client& agent, const AddOptions& options) {
    Removal removal(agent, options);
    const auto files = options.files.empty() ? default_files(true) : options.files;
    return each_file(files, [&](const std::string& file) {
        return file == "-" ? removal.standard_input() : removal.file(file);
    });
}

int add_remove_all(protocol::Client& agent, const AddOptions& options) {
    try { // caught for ssh-add's words
        agent.remove_all();
    } catch (const Error& error) {
        throw Error(error.code(), std::string("Failed to remove all identities: ") + error.what(),
                    error.hint());
    }
    if (!options.quiet)
        std::cerr << "All identities removed.\n";
    return 0;
}

} // namespace sshtpm::applets
