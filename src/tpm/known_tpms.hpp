// SPDX-License-Identifier: MIT
#pragma once
// The storage keys that TPMs had at first use, like the keys of hosts in known_hosts. Sessions for PINs are
// salted to a storage key: an attacker between this program and the TPM who substitutes a key of their own
// would get the PINs. New host keys are made under a storage key: that attacker would know them.
//
// Each user has a file. Host keys have one beside them, which only root writes, and which the agent of the
// user ssh-tpm reads.

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unique_fd.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::tpm {

/// A line of the file: PARENT NAME TCTI, separated by one blank each.
struct KnownParent {
    std::string parent; ///< the storage key: "owner-ecc", "0x81000005"
    Bytes name;         ///< its Name (TPM 2.0 Part 1, 16): a hash algorithm and the digest of the public area
    std::string tcti;   ///< the TPM: the rest of the line, blanks included
    std::size_t line = 0;

    friend bool operator==(const KnownParent&, const KnownParent&) = default;
};

inline constexpr std::size_t known_tpms_ceiling = 65'536; ///< bytes of a file
inline constexpr std::size_t known_tpms_line_ceiling = 4'096;

/// The entries of a file; empty lines and those that begin with '#' are skipped.
/// @throws Error(malformed) that names the line, for a malformed line and for a second one with the same
///     parent and TCTI
std::vector<KnownParent> parse_known_tpms(std::string_view text);

/// The line with its newline. @throws Error(malformed) for a line that parse_known_tpms would refuse, such as
/// one with a control character in the TCTI
std::string known_tpms_line(const KnownParent& known);

enum class KnownTpmsUse {
    user,      ///< the user's file, which this makes, and locks while it writes
    host,      ///< the file of host keys: every user may read it
    read_only, ///< accepted parents are kept for as long as the object lives
};

/// The known parents of one TPM, from the file. For one thread at a time; other processes may write the file.
class KnownTpms {
  public:
    /// Without a file: accepted parents are kept for as long as this lives.
    KnownTpms() = default;
    /// @param file empty: likewise without a file
    KnownTpms(std::filesystem::path file, std::string tcti, KnownTpmsUse use = KnownTpmsUse::user);

    enum class Verdict { unknown, same, other };

    /// Compares a parent's Name with the known one. Reads the file again if it has changed.
    /// @throws Error(refused) if the file exists but cannot be read or parsed
    Verdict judge(std::string_view parent, ByteView name);

    /// @throws Error(refused) if the Name is not the known one, and as judge does
    void require(std::string_view parent, ByteView name);

    /// Like `require`, but records the Name of a parent that has none. If the file cannot be written, this
    /// logs it once and keeps the Name in memory.
    void accept(std::string_view parent, ByteView name);

    /// The known Name of a parent; nothing if none is known. @throws Error(refused) as judge does
    std::optional<Bytes> known_name(std::string_view parent);

    /// Records a Name in the file in place of the known one. For a person who has seen both.
    /// @throws Error(refused) as judge does, Error(io | permission | exists) if it cannot be written
    void replace(std::string_view parent, ByteView name);

    /// Parents that have refused an empty auth value, for as long as this lives: each further use could cost
    /// a try.
    std::vector<std::string> with_password;

  private:
    const KnownParent* find(std::string_view parent) const;
    const KnownParent* read_and_find(std::string_view parent);
    Error other_name(const KnownParent& known, ByteView name) const;
    void read(const FileStamp& now);
    void add(const KnownParent& known);
    void write(const KnownParent& known, const FileStamp& stamp);
    UniqueFd lock() const;

    std::filesystem::path file_;
    std::string tcti_;
    KnownTpmsUse use_ = KnownTpmsUse::user;
    FileStamp stamp_;
    Bytes content_;
    std::vector<KnownParent> known_;
    std::vector<KnownParent> this_run_; ///< kept here because the file could not be written
    bool said_ = false;
};

} // namespace sshtpm::tpm
