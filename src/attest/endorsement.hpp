// SPDX-License-Identifier: MIT
#pragma once
// Endorsement certificates: with one, the maker of a TPM says that the TPM is genuine and has this
// endorsement key ("TCG EK Credential Profile for TPM Family 2.0", RFC 5280).
//
// Revocation is not checked: nothing here reads a CRL or uses the network. An authority that its maker has
// revoked counts until the root above it leaves the folder, because a device may send its certificate along.

#include "base/bytes.hpp"
#include "base/openssl.hpp"
#include "ssh/public_key.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace sshtpm::attest {

/// The facts of an endorsement certificate. All texts are printable.
struct EkCertificate {
    std::string manufacturer; ///< as in the certificate: "id:49465800", the TCG's vendor ID in hexadecimal
    std::string model;
    std::string version;       ///< of the firmware: "id:00010002"
    std::string root;          ///< the subject of the root that it leads to
    ssh::PublicKey public_key; ///< RSA, or ECC on NIST P-256, P-384 or P-521
};

/// Whether an endorsement certificate must have an extended key usage.
enum class Eku {
    required, ///< 2.23.133.8.1 (tcg-kp-EKCertificate)
    optional, ///< a certificate without this extension is taken; one with other purposes alone is not
};

/// The certificates of TPM makers that a person trusts. For one thread.
class EkRoots {
  public:
    EkRoots();

    /// Reads all files of the folder but those whose name begins with a dot. A certificate that signs itself
    /// is a root; the others only stand between a root and endorsement certificates.
    /// @throws Error(malformed) that names a file without certificates, Error(not_found) for a folder without
    ///     a root, Error(permission | io | …) as read_file does
    static EkRoots read(const std::filesystem::path& folder);

    /// Adds the certificates of one file: one in DER, or any number in PEM, where no other PEM block may be.
    /// @throws Error(malformed)
    void add(ByteView file);

    bool empty() const noexcept { return roots_ == 0; }

    /// Checks an endorsement certificate: its profile, and its path to a root, where every signature has at
    /// least 112 bits of security (so neither SHA-1 nor RSA below 2048 bits).
    /// @param certificate one certificate in DER, and no byte more
    /// @param chain certificates that came with it, in any order, the root included or not; all of them must
    ///     lie on the path
    /// @throws Error(malformed) for what is no certificate, Error(unsupported) for a public key that no
    ///     endorsement key of a TPM has here, and Error(refused), which names the check that failed
    EkCertificate verify(ByteView certificate, std::span<const Bytes> chain, Eku eku,
                         std::chrono::system_clock::time_point now) const;

  private:
    using Certificate = openssl::Owner<X509, X509_free>;

    void take(Certificate certificate);

    std::string folder_;                                ///< for messages
    openssl::Owner<X509_STORE, X509_STORE_free> store_; ///< the roots
    std::size_t roots_ = 0;
    std::vector<Certificate> intermediates_;
};

/// Those of the candidates that lie on the path from a certificate to its root, in this order: a TPM has one
/// chain for all its endorsement keys. Checks no signatures.
/// @param most the number of issuers to return
std::vector<Bytes> issuers_of(ByteView certificate, std::span<const Bytes> candidates, std::size_t most);

} // namespace sshtpm::attest
