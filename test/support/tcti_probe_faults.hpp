// SPDX-License-Identifier: MIT
#pragma once
// Which commands of a TPM go wrong, and how: rules in a text file that a test may change at any time.
//
//     # TPM2_Command ACTION [ARG] [times=N] [after=M]
//     TPM2_Sign answer 0x922 times=3
//     * delay 10
//
// `*` stands for every command. A rule leaves the first M commands that it is about alone, takes the next N
// (all of them without `times`), and then leaves them alone again. The first rule that takes a command
// decides; but `delay`, `slow` and `no-ecc` leave it to the rules below to decide what becomes of it. Counts
// are kept in FILE.count and hold for every process and context together; a changed file begins anew.
//
//     answer 0xRC         the TPM refuses with this response code; the command does not reach it
//     delay MS            the command is passed on so much later
//     slow MS             its response comes no sooner than so much later; `get_poll_handles` knows
//     lose                the command reaches the TPM; instead of the response comes an I/O error
//     eof [receive]       an I/O error instead of the command (or of its response); it does not reach the TPM
//     cut N               the first N bytes of the response
//     corrupt [OFFSET]    one byte of the response flipped: the middle one, or this; -1 is the last
//     garbage             bytes that are no response; the command does not reach the TPM
//     lie DIFFERENCE      the size field of the response says so much more or less than there is
//     hang                no response ever; the command does not reach the TPM
//     no-ecc              the TPM refuses ECC keys, as one that has none (hide_ecc_key)
//     swap FILE [stale]   the public area in the responses of ReadPublic and CreatePrimary is that of
//                         FILE, a TPM2B_PUBLIC; so is the Name, unless stale

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace probe {

enum class Action { answer, delay, slow, no_ecc, lose, eof, cut, corrupt, garbage, lie, hang, swap };

struct Fault {
    std::string command; ///< "*" for every
    Action action{};
    std::optional<long> number;
    std::string word; ///< swap's file; eof's "receive"
    bool stale = false;
    std::uint64_t after = 0;
    std::uint64_t times = std::numeric_limits<std::uint64_t>::max();
};

/// Nothing for a line that is no rule.
std::optional<Fault> parse_fault(std::string_view line);

/// What is to become of one command.
struct Verdict {
    std::chrono::milliseconds delay{0};
    std::chrono::milliseconds slow{0};
    bool no_ecc = false;
    std::optional<Fault> fault;
};

class FaultFile {
  public:
    explicit FaultFile(std::string path) : path_(std::move(path)) {}

    /// Counts the command. Without the file nothing goes wrong.
    /// @returns nothing when a line of the file is no rule: standard error is told which.
    std::optional<Verdict> judge(std::string_view command);

  private:
    bool read_rules();

    std::string path_;
    std::string version_;
    std::vector<Fault> rules_;
    std::vector<std::uint64_t> seen_; ///< by each rule; the file has the word when it can be written
};

} // namespace probe
