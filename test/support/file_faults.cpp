// SPDX-License-Identifier: MIT
// File systems that can do less than this machine's, and programs that write at the same time: loaded into
// the program by LD_PRELOAD, or linked into a test. SSH_TPM_TEST_FILES names the fault:
//
//     no_exchange    renameat2(2) has no flags, as on NFS
//     no_links       and there are no hard links
//     mkdir_race     another process makes each folder first
//     denied_device  a device that is there is denied, as by systemd's DevicePolicy=

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace {

bool has(std::string_view fault) {
    const char* const chosen = std::getenv("SSH_TPM_TEST_FILES");
    return chosen != nullptr && fault == chosen;
}

int fail(int reason) {
    errno = reason;
    return -1;
}

/// The function that stands behind the one of this file.
template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

/// The kernel looks the names up before it asks the file system.
__attribute__((visibility("default"))) int renameat2(int from_folder, const char* from, int to_folder,
                                                     const char* to, unsigned flags) noexcept {
    if (flags == 0 || !(has("no_exchange") || has("no_links")))
        return next<int(int, const char*, int, const char*, unsigned)>("renameat2")(from_folder, from,
                                                                                    to_folder, to, flags);
    const bool there = ::faccessat(to_folder, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && flags == RENAME_EXCHANGE)
        return fail(ENOENT);
    return fail(there && flags == RENAME_NOREPLACE ? EEXIST : EINVAL);
}

__attribute__((visibility("default"))) int linkat(int from_folder, const char* from, int to_folder,
                                                  const char* to, int flags) noexcept {
    if (has("no_links"))
        return fail(EPERM);
    return next<int(int, const char*, int, const char*, int)>("linkat")(from_folder, from, to_folder, to,
                                                                        flags);
}

__attribute__((visibility("default"))) int mkdir(const char* path, mode_t mode) noexcept {
    const int result = next<int(const char*, mode_t)>("mkdir")(path, mode);
    return result == 0 && has("mkdir_race") ? fail(EEXIST) : result;
}

__attribute__((visibility("default"))) int access(const char* path, int mode) noexcept {
    const int result = next<int(const char*, int)>("access")(path, mode);
    return result == 0 && mode == (R_OK | W_OK) && has("denied_device") ? fail(EPERM) : result;
}

} // extern "C"
