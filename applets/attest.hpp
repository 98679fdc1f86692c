// SPDX-License-Identifier: MIT
#pragma once
// The commands of ssh-tpm-attest, and their options.

#include "applets/applets.hpp"
#include "attest/verify.hpp"
#include "cli/options.hpp"
#include "identity/identity.hpp"
#include "tpm/attestation.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// The extension of a host certificate that tells clients which attestation key belongs to the host; its
/// value is the Name in hexadecimal.
inline constexpr std::string_view attestation_extension = "attestation-key@ssh-tpm";

// Each @returns the exit status. The first of the call's arguments is the command's name.
int attest_request(Call& call);
int attest_verify(Call& call);
int attest_seal(Call& call);
int attest_sign(Call& call);
int attest_install(Call& call);
int attest_serve(Call& call);
int attest_check(Call& call);
int attest_ssh(Call& call);
int attest_record_key(Call& call); ///< a KnownHostsCommand of check

/// Has the TPM certify a key, and flushes what that loaded: the next key and its parent need the room. Call
/// it in a job of Tpm::run. @returns nothing for a wrong auth value
std::optional<attest::CertifiedKey> certify_key(tpm::Tpm& tpm, const identity::Identity& key,
                                                const tpm::Auth& auth, const tpm::Handle& attestation_key,
                                                ByteView qualifying_data);

/// The options of verify, which seal and sign have too.
struct VerifyOptions {
    std::optional<std::string> roots; ///< --ek-roots
    std::optional<std::string> known; ///< --ek-known
    std::optional<std::string> nonce; ///< --nonce
    std::chrono::seconds max_age = std::chrono::hours(24);
    bool allow_no_eku = false;

    void add_to(std::vector<cli::Option>& options);
    /// Reads the files. @throws Error(usage) without --ek-roots and --ek-known
    attest::Demands demands() const;
};

/// A request in a file that was read and verified.
struct VerifiedRequest {
    std::string text;
    attest::Request request;
    attest::Proof proof;
};

/// @param file "-" is standard input @throws Error that names the file
VerifiedRequest verify_request(const std::string& file, const attest::Demands& demands);

/// Prints the facts about a verified request on standard error.
void print_facts(const std::string& file, const VerifiedRequest& verified);

/// @throws Error(refused) for a principal that --ek-known does not give the endorsement key
void require_allowed(const attest::Proof& proof, std::string_view principal);

/// The certificates in a file, one a line. @throws Error(refused) for one whose key is not in the request,
/// and for a principal that --ek-known does not allow
std::string certificates_for(const VerifiedRequest& verified, const std::string& file);

/// Seals certificates, and prints the response.
/// @param certificates lines as in .pub files
/// @param receipts the file to which the receipt is added
void print_response(const VerifiedRequest& verified, const std::string& certificates,
                    const std::optional<std::string>& receipts);

} // namespace sshtpm::applets
