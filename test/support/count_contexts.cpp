// SPDX-License-Identifier: MIT
// Loaded into the program by LD_PRELOAD: for each OpenSSL library context that is made, by the program or by
// what it loads, a byte goes to the file that SSH_TPM_TEST_CONTEXTS names.

#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) void* OSSL_LIB_CTX_new() {
    if (const char* const name = std::getenv("SSH_TPM_TEST_CONTEXTS")) {
        const int file = ::open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
        (void)!::write(file, "+", 1);
        ::close(file);
    }
    return reinterpret_cast<void* (*)()>(::dlsym(RTLD_NEXT, "OSSL_LIB_CTX_new"))();
}
