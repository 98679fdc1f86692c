// ssh-tpm-add without a mode: keys, and the certificates beside them, go to the agent.

#include "applets/add_files.hpp"
#include "base/printable.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

protocol::Constraints constraints_of(const AddOptions& options) {
    protocol::Constraints constraints;
    if (options.lifetime.count() > 0)
        constraints.lifetime = static_cast<std::uint32_t>(options.lifetime.count());
    constraints.confirm = options.confirm;
    constraints.destinations = read_destinations(options.destinations, options.host_key_files);
    return constraints;
}

/// One key on its way to the agent.
class Addition {
  public:
    Addition(protocol::Client& agent, const AddOptions& options, const protocol::Constraints& constraints,
             KeyToAdd key)
        : agent_(agent), options_(options), constraints_(constraints), key_(std::move(key)) {}

    void run() {
        if (!options_.key_only)
            read_certificate();
        try { // caught to say which key it was
            if (options_.pin && key_.identity.needs_pin())
                add_with_pin(agent_, {.key = key_, .confirm = options_.confirm, .add = [this] { send(); }});
            else
                send();
        } catch (const Error& error) {
            throw Error(error.code(), "Could not add identity \"" + key_.shown + "\": " + error.what(),
                        error.hint());
        }
        report();
    }

  private:
    /// What is wrong with it is told after the key has been added.
    void read_certificate() {
        const auto& file = key_.certificate_file;
        try { // caught to go on with the key itself
            const auto half = file.empty() ? std::nullopt : read_public_file(file);
            if (half) {
                certificate_ = ssh::Certificate::from_blob(half->blob);
                if (certificate_->public_key != key_.identity.public_key)
                    throw Error(Errc::malformed,
                                "Certificate " + file.string() + " does not match private key " + key_.shown);
            } else if (options_.certificate_only) {
                throw Error(Errc::not_found, key_.shown + ": no certificate " + file.string());
            }
        } catch (const Error& error) {
            if (options_.certificate_only)
                throw;
            certificate_.reset();
            certificate_failure_ = error;
        }
    }

    void send() {
        if (!options_.certificate_only)
            send(ByteView());
        if (!certificate_)
            return;
        try { // caught because the key itself has been added
            send(certificate_->blob);
        } catch (const Error& error) {
            if (options_.certificate_only)
                throw;
            certificate_failure_ = Error(error.code(),
                                         "Certificate " + key_.certificate_file.string() + " (" +
                                             certificate_->key_id + ") add failed: " + error.what(),
                                         error.hint());
        }
    }

    void send(ByteView certificate) {
        try { // caught for a hint
            agent_.add_tpm_key(key_.text, certificate, constraints_);
        } catch (const Error& error) {
            if (error.code() != Errc::refused)
                throw;
            throw Error(Errc::refused, error.what(),
                        "an agent other than ssh-tpm-agent takes no keys of a TPM; ssh-tpm-agent takes none "
                        "while it is locked, or through ssh; its log says more");
        }
    }

    void report() const {
        if (!options_.certificate_only)
            say("Identity added: " + key_.shown + " (" + key_.identity.comment + ")");
        if (certificate_failure_)
            throw Error(*certificate_failure_);
        if (certificate_)
            say("Certificate added: " + key_.certificate_file.string() + " (" + certificate_->key_id + ")");
    }

    void say(const std::string& what) const {
        if (options_.quiet)
            return;
        std::cerr << printable(what, what.size()) << '\n';
        if (constraints_.lifetime)
            std::cerr << "Lifetime set to " << *constraints_.lifetime << " seconds\n";
        if (constraints_.confirm)
            std::cerr << "The user must confirm each use of the key\n";
    }

    protocol::Client& agent_;
    const AddOptions& options_;
    const protocol::Constraints& constraints_;
    KeyToAdd key_;
    std::optional<ssh::Certificate> certificate_;
    std::optional<Error> certificate_failure_;
};

} // namespace

int add_keys(protocol::Client& agent, const AddOptions& options) {
    const auto constraints = constraints_of(options);
    const auto files = options.files.empty() ? default_files(false) : options.files;
    return each_file(files, [&](const std::string& file) {
        Addition(agent, options, constraints, read_key_to_add(file)).run();
        return true;
    });
}

} // namespace sshtpm::applets
