#include "agent/key_folder.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "identity/key_dir.hpp"
#include "tpm/tpm2b.hpp"

#include <utility>

namespace sshtpm::agent {

namespace fs = std::filesystem;

namespace {

/// True when the store has this key from another file that is still there.
bool is_second_file(const KeyStore& keys, const identity::Identity& identity) {
    const auto held = keys.find_public_key(identity.public_key);
    if (!held || held->origin != HeldKey::Origin::folder || held->identity->file == identity.file)
        return false;
    return stamp_of(held->identity->file) != FileStamp{};
}

/// The blank line that a unit has systemd put in the place of a key file that is not there (SetCredential= in
/// data/systemd). An empty file is none: that is what a crash may leave of a key.
bool is_placeholder(const fs::path& file) {
    std::error_code failure;
    return fs::file_size(file, failure) == 1 && !failure;
}

} // namespace

KeyFolder::KeyFolder(fs::path folder, protocol::Constraints terms)
    : folder_(std::move(folder)), terms_(std::move(terms)) {
    std::error_code ignored;
    if (!fs::is_directory(folder_, ignored))
        log::info("no key folder ", printable(folder_.string()), " so far; its keys are taken when it comes");
}

HeldKey KeyFolder::terms_now() const {
    HeldKey terms{.identity = nullptr, .origin = HeldKey::Origin::folder, .constraints = terms_};
    if (terms_.lifetime)
        terms.dies = os::BootClock::now() + std::chrono::seconds(*terms_.lifetime);
    return terms;
}

std::optional<ssh::PublicKey> KeyFolder::read(KeyStore& keys, const fs::path& file, bool same) {
    if (is_placeholder(file)) {
        log::info(printable(file.string()), ": holds no key; skipped");
        return std::nullopt;
    }
    try { // caught to skip this file and go on with the next
        auto identity = std::make_shared<const identity::Identity>(identity::load_identity(file));
        if (is_second_file(keys, *identity)) {
            log::info(printable(file.string()), ": the same key as another file's; skipped");
            second_.insert(file);
            return std::nullopt;
        }
        const auto held = keys.find_public_key(identity->public_key);
        // A client may have added another file of the key, with another PIN.
        const bool changed = held && ((!same && held->identity->stamp != identity->stamp) ||
                                      !equal(tpm::view_of(held->identity->key->private_area),
                                             tpm::view_of(identity->key->private_area)));
        keys.put_file(identity, terms_now());
        return changed ? std::optional(identity->public_key) : std::nullopt;
    } catch (const Error& error) {
        log::error(printable(error.what(), 1000), "; skipped");
        if (!error.hint().empty())
            log::info("hint: ", error.hint());
    }
    return std::nullopt;
}

std::vector<ssh::PublicKey> KeyFolder::scan(KeyStore& keys) {
    std::vector<ssh::PublicKey> touched;
    std::map<fs::path, Stamps> now;
    for (const auto& file : identity::key_files(folder_))
        now.emplace(file, Stamps{stamp_of(file), stamp_of(identity::certificate_file(file))});
    const bool changed = now != seen_;
    for (const auto& [file, stamps] : seen_) {
        if (now.contains(file))
            continue;
        for (const auto& line : keys.drop_file(file))
            touched.push_back(line->identity->public_key);
    }
    const auto second = std::exchange(second_, {});
    const bool all_again = std::exchange(all_again_, false);
    for (const auto& [file, stamps] : now) {
        const auto before = seen_.find(file);
        const bool same = before != seen_.end() && before->second == stamps;
        if (same && !all_again &&
            !(changed && second.contains(file))) { // the first file of its key may be gone now
            if (second.contains(file))
                second_.insert(file);
            continue;
        }
        if (auto key = read(keys, file, same))
            touched.push_back(std::move(*key));
    }
    seen_ = std::move(now);
    return touched;
}

bool KeyFolder::refresh(KeyStore& keys, const HeldKey& line) {
    const auto& file = line.identity->file;
    if (file.empty() || stamp_of(file) == line.identity->stamp)
        return false;
    try { // caught because the key as it was loaded is still good
        auto identity = std::make_shared<const identity::Identity>(identity::load_identity(file));
        if (!(identity->public_key == line.identity->public_key))
            return false;
        log::info("the file of key '", printable(identity->comment), "' has changed; loaded again");
        auto terms = terms_now();
        terms.dies = line.dies;
        keys.put_file(std::move(identity), terms);
        return true;
    } catch (const Error& error) {
        log::debug(printable(error.what()));
        return false;
    }
}

} // namespace sshtpm::agent
