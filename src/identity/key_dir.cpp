#include "identity/key_dir.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"

#include <algorithm>

namespace sshtpm::identity {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> key_files(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure))
        if (entry->path().extension() == ".tpm")
            files.push_back(entry->path());
    if (failure)
        log::error(printable(folder.string()), ": ", failure.message());
    std::ranges::sort(files);
    return files;
}

} // namespace

std::vector<std::shared_ptr<const Identity>> load_key_dir(const fs::path& folder) {
    std::vector<std::shared_ptr<const Identity>> identities;
    for (const auto& file : key_files(folder)) {
        try { // caught to skip this file and go on with the next
            auto identity = std::make_shared<const Identity>(load_identity(file));
            const auto same = [&](const auto& other) { return other->public_key == identity->public_key; };
            if (std::ranges::any_of(identities, same))
                log::info(printable(file.string()), ": the same key as another file's; skipped");
            else
                identities.push_back(std::move(identity));
        } catch (const Error& error) {
            log::error(printable(error.what(), 1000), "; skipped");
            if (!error.hint().empty())
                log::info("hint: ", error.hint());
        }
    }
    return identities;
}

} // namespace sshtpm::identity
