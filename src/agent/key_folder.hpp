// SPDX-License-Identifier: MIT
#pragma once
// Keeps the key store up to date with the folder of key files. Clients' keys are added through this class
// too: a key that a client has added stays the client's, even if the folder has its file.

#include "agent/key_store.hpp"
#include "base/file.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

namespace sshtpm::agent {

class KeyFolder {
  public:
    /// @param folder its key files are those that os::read_key_tree finds; empty: no keys come from files
    /// @param terms the constraints of every key from the folder; the lifetime begins when its file is read
    KeyFolder(KeyStore& keys, std::filesystem::path folder, protocol::Constraints terms);

    /// Reads new and changed files, and removes the keys of deleted files. A key that was removed from the
    /// store is not added again until its file changes. A key that a client has added is not added from the
    /// folder at all, even after the client's entry has gone.
    void scan();
    /// Reads every file again, and adds also the keys that `scan` leaves out.
    void reload();
    /// Reads the entry's file again if it has changed. @returns the new entry; null if the file no longer has
    /// the key; the same entry if the file is missing
    KeyEntryPtr refreshed(KeyEntryPtr entry);

    /// Adds an entry of a client. If the folder has a file of its key, the folder's demand for confirmation
    /// applies to it, and the client's constraints apply to the folder's certificates of the key from now on.
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
        bool denied = false; ///< this user may not read it; a change of that does not show in `stamps`
    };

    /// @param before the file at the last scan: what was logged then is not logged again
    void read(const std::filesystem::path& path, File& file, const File& before);
    void note_clients(ByteView blob);
    void put(const IdentityPtr& identity, File& file);
    std::vector<KeyEntry> entries_of(const IdentityPtr& identity, std::optional<BootTime> dies) const;

    KeyStore& keys_;
    std::filesystem::path folder_;
    protocol::Constraints terms_;
    std::map<std::filesystem::path, File> files_;
    std::vector<std::string> problems_;         ///< of the folders, as the last scan has logged them
    std::unordered_set<std::string> seen_keys_; ///< blobs of all keys that the folder has had
    /// Blobs of keys and certificates that clients have added, if the folder has had the key. It grows until
    /// SIGHUP: forgetting a blob would bring a removed key back without its constraints.
    std::unordered_set<std::string> client_blobs_;
};

} // namespace sshtpm::agent
