// SPDX-License-Identifier: MIT
#pragma once
// Checks a host certificate by the rules of OpenSSH's clients.

#include "base/bytes.hpp"
#include "cli/findings.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// The words with commas between them.
std::string joined(const auto& words) {
    std::string out;
    for (const auto& word : words)
        out.append(out.empty() ? "" : ",").append(word);
    return out;
}

/// A signature algorithm, and its name in the key exchange with a certificate.
struct HostAlgorithm {
    std::string name;      ///< "rsa-sha2-512"
    std::string certified; ///< "rsa-sha2-512-cert-v01@openssh.com"; empty if this type has no certificates
};

/// The algorithms that OpenSSH uses with a type of host key, the preferred one first.
/// @param type as in a key blob
std::vector<HostAlgorithm> host_algorithms(std::string_view type);

/// A certificate that sshd can load.
struct HostCertificate {
    std::string type; ///< of the key: "ssh-rsa"
    Bytes blob;
    Bytes key_blob; ///< the certified key
};

/// Reads a certificate for a HostCertificate line.
/// @throws Error for a file that is missing, has no certificate or a user's, or one that sshd cannot load
HostCertificate read_host_certificate(const std::string& path);

/// The names of this host, in lower case, with which a certificate is compared; empty if not known.
using HostNames = std::vector<std::string>;

/// The command, in backticks, that makes a certificate. @param public_key the path of the key
std::string sign_command(const HostNames& names, const std::string& public_key);

/// @param public_key the path of the certified key, for the command that signs it again
/// @returns a `fail` or `warn` for each thing that clients dislike, or one `ok` with the end of its time; all
///     without check and subject
std::vector<cli::Finding> judge_host_certificate(const HostCertificate& certificate, const HostNames& names,
                                                 const std::string& public_key);

/// The same for BASE-cert.pub, which sshd may get if it does not `fail`: it must be one of the key BASE.pub.
std::vector<cli::Finding> judge_certificate_of(const std::string& base, const HostNames& names);

} // namespace sshtpm::applets
