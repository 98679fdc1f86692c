#pragma once
// Keeps the key store in step with the folder of key files. Keys that clients give pass through here too:
// a key given by a client is the client's, even when the folder has its file.

#include "agent/key_store.hpp"
#include "base/file.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <unordered_set>

namespace sshtpm::agent {

class KeyFolder {
  public:
    /// @param folder empty: no keys come from files.
    /// @param terms the constraints of every key from the folder; their lifetime runs from when a file is
    ///     read.
    KeyFolder(KeyStore& keys, std::filesystem::path folder, protocol::Constraints terms);

    /// Reads the files that are new or have changed, and drops the keys of files that are gone. A key that
    /// was removed from the store stays away until its file changes. One that a client has given stays away
    /// even then, also after the client's has gone.
    void scan();
    /// Reads every file again, which brings back all that stayed away.
    void reload();
    /// The entry as its file is now; null when it has gone with its file. A file that is not there leaves it.
    KeyEntryPtr refreshed(KeyEntryPtr entry);

    /// Adds an entry that a client gives. Where the folder has a file of its key, what the folder demands
    /// holds for it, and the folder's certificates of the key are held on the client's terms from now on.
    void add(KeyEntry entry);

  private:
    struct Stamps {
        FileStamp key, certificate;

        friend bool operator==(const Stamps&, const Stamps&) = default;
    };
    struct File {
        Stamps stamps;
        std::string key = {};         ///< its blob; empty when the file could not be read
        std::string certificate = {}; ///< its blob; empty when there is none
        std::optional<BootTime> dies = {};
        bool second = false; ///< another file gives the same key
    };

    void read(const std::filesystem::path& path, File& file);
    void note_clients(ByteView blob);
    void put(const IdentityPtr& identity, File& file);
    std::vector<KeyEntry> entries_of(const IdentityPtr& identity, std::optional<BootTime> dies) const;

    KeyStore& keys_;
    std::filesystem::path folder_;
    protocol::Constraints terms_;
    std::map<std::filesystem::path, File> files_;
    std::unordered_set<std::string> seen_keys_; ///< blobs of all keys that the folder has had
    /// Blobs of keys and certificates that clients have given, and whose key the folder has had.
    std::unordered_set<std::string> client_blobs_;
};

} // namespace sshtpm::agent
