#pragma once
// The storage keys that this user's TPMs had at first use, as known_hosts has the keys of hosts. Sessions for
// PINs are salted to a storage key: somebody between us and the TPM who puts his own key in its place would
// get the PINs.

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::tpm {

/// A line of the file: PARENT NAME TCTI, with one blank between each two.
struct KnownParent {
    std::string parent; ///< which storage key: "owner-ecc", "0x81000005"
    Bytes name;         ///< its Name (TPM 2.0 Part 1, 16): a hash algorithm and the digest of the public area
    std::string tcti;   ///< the TPM: the rest of the line, blanks included
    std::size_t line = 0;

    friend bool operator==(const KnownParent&, const KnownParent&) = default;
};

inline constexpr std::size_t known_tpms_ceiling = 65'536; ///< bytes of a file
inline constexpr std::size_t known_tpms_line_ceiling = 4'096;

/// The entries of a file; empty lines and those that begin with '#' are skipped.
/// @throws Error(malformed), naming the line, for a malformed line and for a second one with the same parent
///     and TCTI.
std::vector<KnownParent> parse_known_tpms(std::string_view text);

/// With its newline. @throws Error(malformed) for a line that parse_known_tpms would refuse, such as one with
/// a control character in the TCTI.
std::string known_tpms_line(const KnownParent& known);

/// The file and the TPM whose lines count. For one thread at a time; other processes may write the file.
class KnownTpms {
  public:
    /// Without a file: accepted parents are kept for as long as this lives.
    KnownTpms() = default;
    /// @param file empty for the same
    KnownTpms(std::filesystem::path file, std::string tcti);

    enum class Verdict { unknown, same, other };

    /// Reads the file again if it has changed.
    /// @throws Error(refused) when the file is there but cannot be read or understood.
    Verdict judge(std::string_view parent, ByteView name);

    /// @throws Error(refused) for another Name than the known one, and as judge does.
    void require(std::string_view parent, ByteView name);

    /// As `require`, but records the Name of a parent that has none. If the file cannot be written, this logs
    /// it once and keeps the Name in memory.
    void accept(std::string_view parent, ByteView name);

  private:
    const KnownParent* find(std::string_view parent) const;
    Error other_name(const KnownParent& known, ByteView name) const;
    void read(const FileStamp& now);
    void add(const KnownParent& known);

    std::filesystem::path file_;
    std::string tcti_;
    FileStamp stamp_;
    Bytes content_;
    std::vector<KnownParent> known_;
    std::vector<KnownParent> this_run_; ///< not in the file, which could not be written
    bool said_ = false;
};

} // namespace sshtpm::tpm
