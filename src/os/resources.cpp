#include "os/resources.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <malloc.h>
#include <sys/resource.h>

namespace sshtpm::os {

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit); // cannot fail for what is allowed; a lower limit only serves fewer
}

std::size_t free_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        throw Error::from_errno(errno, "the limit of descriptors");
    std::error_code failure;
    const std::filesystem::directory_iterator open("/proc/self/fd", failure);
    if (failure) // no /proc here, say: a guess that leaves room serves
        return limit.rlim_cur - limit.rlim_cur / 4;
    const auto used =
        static_cast<std::size_t>(std::distance(begin(open), end(open))) - 1; // that of the folder
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

void return_large_buffers() {
    constexpr int threshold = 64 * 1024;
    ::mallopt(M_MMAP_THRESHOLD, threshold);
}

} // namespace sshtpm::os
