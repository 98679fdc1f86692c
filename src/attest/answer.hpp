// SPDX-License-Identifier: MIT
#pragma once
// The question of a client about a host's boot, and the host's answer: PCRs that its TPM has quoted, and host
// keys that the same TPM has certified.

#include "attest/document.hpp"
#include "attest/pcrs.hpp"

#include <cstdint>

namespace sshtpm::attest {

inline constexpr std::size_t max_answer = std::size_t{1024} * 1024; ///< bytes, most of them the event log
inline constexpr std::size_t max_question = 256;

using Nonce = std::array<std::uint8_t, 32>;

/// One line: "ssh-tpm-attest-1 NONCE sha256:0,1,2", the nonce in base64.
struct Question {
    Nonce nonce; ///< fresh
    PcrSelection pcrs;

    static Question fresh(PcrSelection pcrs);
    /// @throws Error(malformed) for another form than `text` writes
    static Question parse(std::string_view text);
    std::string text() const;
};

/// "ssh-tpm-attested-1": a document of the same strict form as a request.
struct Answer {
    TPMT_PUBLIC ak; ///< {"public"}
    Bytes quote;    ///< {"attest", "sig"}: TPMS_ATTEST, TPMT_SIGNATURE
    TPMT_SIGNATURE signature;
    std::vector<Bytes> pcrs; ///< in the order of the selection, in hexadecimal
    std::vector<CertifiedKey> keys;
    Bytes event_log; ///< as the kernel has it; may be empty. Nothing proves it but its replay

    /// @throws Error(malformed)
    static Answer parse(std::string_view text);
    std::string text() const;
};

// The qualifying data. Their labels differ from that of a request, or a client could have a host make
// requests.
Digest key_data(const Nonce& nonce, ByteView ssh_blob);
/// @param keys all of the answer, in its order
Digest quote_data(const Nonce& nonce, const std::vector<CertifiedKey>& keys);

/// A boot of the machine, by the signed quote.
struct Boot {
    Bytes ak_name;
    PcrValues pcrs;
    TPMS_CLOCK_INFO clock;
    std::uint64_t firmware; ///< the TPM's version, as its maker counts
};

/// Checks an answer: one attestation key of our template, both kinds of statements made for this question,
/// exactly the PCRs that were asked for, and the host key of the connection among the certified ones.
/// @param host_key its blob, without a certificate around it
/// @throws Error(refused | malformed) that names the failed check
Boot verify(const Answer& answer, const Question& question, ByteView host_key);

} // namespace sshtpm::attest
