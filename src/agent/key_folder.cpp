// SPDX-License-Identifier: MIT
#include "agent/key_folder.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "identity/hierarchy.hpp"
#include "os/key_tree.hpp"

#include <algorithm>
#include <utility>

namespace sshtpm::agent {

namespace fs = std::filesystem;

namespace {

std::string name_of(ByteView blob) {
    return std::string(text_of(blob));
}

bool is_folders(const KeyEntry& entry) {
    return entry.origin == KeyEntry::Origin::folder;
}

/// True if the store has this key from another file that still exists.
bool is_second_file(const KeyStore& keys, const identity::Identity& identity) {
    const auto held = keys.find_key(identity.public_key);
    return held && is_folders(*held) && held->identity->file != identity.file &&
           stamp_of(held->identity->file) != FileStamp{};
}

/// True for a file with only a blank line: systemd puts it in the place of a missing key file (SetCredential=
/// in data/systemd). Not for an empty file, which a crash may leave in the place of a key.
bool is_placeholder(const fs::path& file) {
    std::error_code failure;
    return fs::file_size(file, failure) == 1 && !failure;
}

/// For a damaged file of a host key, the hint is the command that replaces it.
Error with_renewal(const Error& error, const fs::path& file) {
    if (error.code() != Errc::malformed || !identity::has_host_key_name(file))
        return error;
    return {
        error.code(), error.what(),
        "`ssh-tpm hostkeys --renew` keeps a damaged host key file under another name, and makes a new key"};
}

/// The constraints of a client, plus the folder's demand for confirmation.
protocol::Constraints confirmed_as(const protocol::Constraints& terms, protocol::Constraints constraints) {
    constraints.confirm = constraints.confirm || terms.confirm;
    return constraints;
}

} // namespace

KeyFolder::KeyFolder(KeyStore& keys, fs::path folder, protocol::Constraints terms)
    : keys_(keys), folder_(std::move(folder)), terms_(std::move(terms)) {
    std::error_code ignored;
    if (!folder_.empty() && !fs::is_directory(folder_, ignored))
        log::info("no key folder ", printable(folder_.string()), " so far; its keys are taken when it comes");
}

/// Makes the folder's entries for a key file: the key, and its certificate if there is one. Skips a blob that
/// a client or a hierarchy has added.
std::vector<KeyEntry> KeyFolder::entries_of(const IdentityPtr& identity, std::optional<BootTime> dies) const {
    std::vector<KeyEntry> out;
    KeyEntry entry{
        .identity = identity, .origin = KeyEntry::Origin::folder, .constraints = terms_, .dies = dies};
    const auto give = [&] {
        const auto held = keys_.find_entry(entry.blob());
        if (held ? is_folders(*held) : !client_blobs_.contains(name_of(entry.blob())))
            out.push_back(entry);
    };
    give();
    if (client_blobs_.contains(name_of(entry.blob()))) {
        const auto key = keys_.find_entry(entry.blob());
        if (!key)
            return out;
        // The certificate makes signatures with the client's key, so the constraints of both apply to it.
        entry.constraints = confirmed_as(terms_, key->constraints);
        if (key->dies)
            entry.dies = dies ? std::min(*dies, *key->dies) : *key->dies;
    }
    entry.certificate = identity->certificate;
    if (entry.certificate)
        give();
    return out;
}

/// Puts the entries of a file into the store. They also replace a client's entry of the certificate that the
/// folder had before.
void KeyFolder::put(const IdentityPtr& identity, File& file) {
    const auto certificate = identity->certificate ? name_of(identity->certificate->blob) : std::string();
    const auto old = file.certificate == certificate ? std::string() : file.certificate;
    file.certificate = certificate;
    const auto before = [&](const KeyEntry& entry) {
        if (!is_folders(entry))
            return !old.empty() && name_of(entry.blob()) == old;
        return entry.identity->file == identity->file || entry.identity->public_key == identity->public_key;
    };
    keys_.replace(before, entries_of(identity, file.dies));
}

/// Adds the folder's demand for confirmation to a client's entry of this key.
void KeyFolder::note_clients(ByteView blob) {
    const auto held = keys_.find_entry(blob);
    if (!held || !held->is_clients())
        return;
    client_blobs_.insert(name_of(blob));
    KeyEntry confirmed = *held;
    confirmed.constraints = confirmed_as(terms_, std::move(confirmed.constraints));
    keys_.add(std::move(confirmed));
}

void KeyFolder::read(const fs::path& path, File& file, const File& before) {
    if (is_placeholder(path)) {
        log::info(printable(path.string()), ": holds no key; skipped");
        return;
    }
    try { // caught to skip this file and go on with the next
        const auto identity = std::make_shared<const identity::Identity>(identity::load_identity(path));
        const auto certificate = identity::certificate_file(path);
        if (!identity->certificate && is_being_written(certificate, file.stamps.certificate))
            file.stamps.certificate = {}; // it is read again when it is closed
        file.key = name_of(identity->public_key.blob());
        seen_keys_.insert(file.key);
        if (is_second_file(keys_, *identity)) {
            if (!before.second)
                log::info(printable(path.string()), ": the same key as another file's; skipped");
            file.second = true;
            return;
        }
        identity::tell_fixed_hash(*identity);
        file.dies = end_from_now(terms_);
        note_clients(identity->public_key.blob());
        if (identity->certificate)
            note_clients(identity->certificate->blob);
        put(identity, file);
    } catch (const Error& error) {
        file.denied = error.code() == Errc::permission;
        if (is_being_written(path, file.stamps.key))
            file.stamps.key = {}; // it is read again when it is closed
        else if (!file.denied || !before.denied)
            log::report(with_renewal(error, path), "; skipped");
    }
}

void KeyFolder::scan() {
    if (folder_.empty())
        return;
    const auto tree = os::read_key_tree(folder_);
    if (problems_ != tree.problems) // not once more after each change of a file
        for (const auto& problem : tree.problems)
            log::error(problem);
    problems_ = tree.problems;
    if (tree.incomplete)
        return;
    const auto before = std::exchange(files_, {});
    for (const auto& path : tree.files)
        files_[path].stamps = {stamp_of(path), stamp_of(identity::certificate_file(path))};
    const bool changed = !std::ranges::equal(before, files_, [](const auto& one, const auto& other) {
        return one.first == other.first && one.second.stamps == other.second.stamps;
    });
    for (const auto& path : tree.files) { // of two files with the same key, the upper one serves
        auto& file = files_[path];
        const auto old = before.find(path);
        if (old != before.end()) {
            const auto stamps = std::exchange(file, old->second).stamps;
            // If something has changed, the first file of this key may be gone.
            if (stamps == file.stamps && !(changed && file.second) && !file.denied)
                continue;
            file.stamps = stamps;
            file.second = file.denied = false;
        }
        read(path, file, old == before.end() ? File{} : old->second);
    }
    for (const auto& [path, file] : before)
        if (!files_.contains(path))
            keys_.replace([&gone = path](const KeyEntry& entry) {
                return is_folders(entry) && entry.identity->file == gone;
            });
}

void KeyFolder::reload() {
    client_blobs_.clear();
    problems_.clear();
    for (auto& [path, file] : files_) {
        file.stamps = {};
        file.second = file.denied = false;
    }
    scan();
}

KeyEntryPtr KeyFolder::refreshed(KeyEntryPtr entry) {
    const auto stamp = is_folders(*entry) ? stamp_of(entry->identity->file) : entry->identity->stamp;
    if (stamp == entry->identity->stamp || stamp == FileStamp{}) // a missing file changes nothing
        return entry;
    const auto blob = copy_of(entry->blob()); // the entry may be changed in place
    scan();
    return keys_.find(blob);
}

void KeyFolder::add(KeyEntry entry) {
    const auto identity = entry.identity;
    const auto name = name_of(identity->public_key.blob());
    if (!seen_keys_.contains(name)) {
        keys_.add(std::move(entry));
        return;
    }
    entry.constraints = confirmed_as(terms_, std::move(entry.constraints));
    client_blobs_.insert(name_of(entry.blob()));
    keys_.add(std::move(entry));
    const auto file = std::ranges::find_if(
        files_, [&](const auto& each) { return each.second.key == name && !each.second.second; });
    const auto certificate = std::ranges::find_if(keys_.entries(), [&](const auto& held) {
        return is_folders(*held) && held->identity->public_key == identity->public_key;
    });
    if (file != files_.end() && certificate != keys_.entries().end())
        put(IdentityPtr((*certificate)->identity), file->second);
}

} // namespace sshtpm::agent
