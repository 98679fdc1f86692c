#pragma once
// Keeps the key store in step with the folder of key files.

#include "agent/key_store.hpp"
#include "base/file.hpp"

#include <map>
#include <set>

namespace sshtpm::agent {

class KeyFolder {
  public:
    /// @param terms the constraints of every key from the folder; their lifetime runs from when a file is
    /// read.
    KeyFolder(std::filesystem::path folder, protocol::Constraints terms);

    const std::filesystem::path& path() const noexcept { return folder_; }
    /// Of every key.
    const protocol::Constraints& terms() const noexcept { return terms_; }

    /// Reads what is new or changed since the last time, and drops what is gone. A key that was removed from
    /// the store stays away until its file changes.
    /// @returns the keys whose files have changed or gone: a PIN known for them may be wrong now.
    std::vector<ssh::PublicKey> scan(KeyStore& keys);

    /// Has the next scan read every file again, which brings back what was removed from the store.
    void read_all_again() noexcept { all_again_ = true; }

    /// The line as its file has it now: where that was replaced since it was read, the store is put right
    /// first. @returns true when it was.
    bool refresh(KeyStore& keys, const HeldKey& line);

  private:
    struct Stamps {
        FileStamp key, certificate;

        friend bool operator==(const Stamps&, const Stamps&) = default;
    };

    HeldKey terms_now() const;
    /// @param same as when it was read before
    /// @returns its key, when the PIN known for that may be another file's or the old one of this file.
    std::optional<ssh::PublicKey> read(KeyStore& keys, const std::filesystem::path& file, bool same);

    std::filesystem::path folder_;
    protocol::Constraints terms_;
    std::map<std::filesystem::path, Stamps> seen_;
    bool all_again_ = false;
    std::set<std::filesystem::path> second_; ///< files of keys that another file has given
};

} // namespace sshtpm::agent
