// SPDX-License-Identifier: MIT
#pragma once
// Checks of sshd's host keys: that sshd or the agent signs with them, and that clients believe their
// certificates.

#include "applets/host_certificate.hpp"
#include "applets/sshd.hpp"
#include "base/error.hpp"
#include "protocol/client.hpp"

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::applets {

using AgentKeys = std::vector<protocol::AgentKey>;

/// The path of each type's host key, without ".pub".
using HostKeysByType = std::map<std::string, std::string>;

/// The inputs of a check, and its output.
struct HostKeyCheck {
    const SshdView& view;
    std::filesystem::path socket;
    std::chrono::steady_clock::time_point end; ///< of the time for all answers of the agent
    cli::Findings& findings;
    HostKeysByType former = {};                     ///< host keys that clients may know
    std::optional<AgentKeys> served = {};           ///< nothing if the agent does not answer, or no longer
    std::optional<cli::Finding> agent_failure = {}; ///< if it does not answer
};

/// Reports whether the agent answers (check "agent"), and asks it for its keys.
void check_agent(HostKeyCheck& check);

/// Whether one of the host keys has this path.
bool uses_path(const HostKeysByType& keys, const std::string& path);

/// The path without ".pub".
std::string base_of(const std::string& path);

/// The program that signs with a host key.
enum class Signer {
    none, ///< sshd has not loaded the key
    sshd, ///< it has read the private half from a file
    agent,
};

/// A host key of sshd.
struct SshdKey {
    std::string path;
    std::string type;      ///< "ecdsa-sha2-nistp256", "ssh-rsa", …; empty if it cannot be read
    Bytes blob;            ///< empty if its public half cannot be read
    bool has_file = false; ///< the private half is in a file
    Signer signer = Signer::none;
    std::optional<Error> error;          ///< the reason why it cannot be read
    std::vector<std::string> algorithms; ///< those that sshd offers
    bool fails = false;
    bool signs = false; ///< the agent signs with it, by one of these algorithms at least

    bool passes() const { return signs && !fails; }
    /// Clients may choose it, and nothing signs with it.
    bool is_dead() const { return fails && !signs && signer == Signer::agent; }
};

/// A certificate that sshd names.
struct SshdCertificate {
    std::string path;
    std::optional<HostCertificate> certificate;
    std::optional<Error> error; ///< the reason why it cannot be read
};

/// The certificates and the host keys that sshd names, in its order; whether they work is not checked yet.
/// sshd must accept the configuration.
std::vector<SshdCertificate> read_certificates(const SshdView& view);
std::vector<SshdKey> read_host_keys(const SshdView& view,
                                    const std::vector<SshdCertificate>& sshd_certificates);

/// Checks those of the host keys that have these paths, each key once: "host-key", "host-key-in-file",
/// "host-key-order", "host-key-name". An agent that stops answering is reported once, and the keys of an
/// agent that does not answer are not reported.
/// @param keys their `fails` and `signs` are set
/// @param check after check_agent
void check_keys(std::vector<SshdKey>& keys, const std::vector<std::string>& paths, HostKeyCheck& check);

/// Warns of keys that clients cannot learn without losing their session, "host-key-learning": those of the
/// agent, with a sshd that may have this fault, if clients may know another host key. @param keys after
/// check_keys
void check_learning(const std::vector<SshdKey>& keys, const HostKeyCheck& check);

/// Checks the certificates, "host-certificate", and finds those that sshd does not name,
/// "host-certificate-line". @param keys after check_keys
void check_certificates(const std::vector<SshdCertificate>& sshd_certificates,
                        const std::vector<SshdKey>& keys, const HostKeyCheck& check);

} // namespace sshtpm::applets
