#include "identity/key_dir.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"

#include <algorithm>

namespace sshtpm::identity {

namespace fs = std::filesystem;

std::vector<fs::path> key_files(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure))
        if (entry->path().extension() == ".tpm")
            files.push_back(entry->path());
    if (failure && failure != std::errc::no_such_file_or_directory)
        log::error(printable(folder.string()), ": ", failure.message());
    std::ranges::sort(files);
    return files;
}

} // namespace sshtpm::identity
