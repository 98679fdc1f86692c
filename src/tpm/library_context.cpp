// SPDX-License-Identifier: MIT
// OSSL_LIB_CTX_new() and OSSL_LIB_CTX_free() in front of libcrypto's: all of ESYS uses one library context.
//
// ESYS of tpm2-tss 3 and 4 makes an OpenSSL library context for each hash, HMAC and nonce, and frees it
// again: 0.5 ms each, five times for a signature with a PIN. It only fetches algorithms and random bytes from
// the context, which any number of users and threads may do with one context. ESYS uses a separate context,
// without the providers of openssl.cnf, because one of these may use the TPM itself; the common context has
// none either.
//
// The dynamic linker finds a program's definition before a library's. So these functions serve every caller
// in the process: of the known libraries, libtss2-esys and libtss2-fapi, and libcrypto itself for a
// provider's context (OSSL_LIB_CTX_new_child), which libcrypto changes. Only ESYS gets the common context.
// Only the executable contains this file.

#include <atomic>
#include <bit>
#include <dlfcn.h>
#include <link.h>
#include <string_view>

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 35) // which has _dl_find_object()

struct ossl_lib_ctx_st; // of openssl/types.h

namespace {

using Context = ossl_lib_ctx_st;

std::atomic<Context*> of_esys = nullptr; ///< made at the first use, never freed

/// libcrypto's function of this name.
template <class Function>
Function* next(const char* name) noexcept {
    return std::bit_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool is_in_esys(void* address) noexcept {
    dl_find_object library; // dladdr() would look for the symbol too, for 2.5 us
    return ::_dl_find_object(address, &library) == 0 &&
           std::string_view(library.dlfo_link_map->l_name).find("libtss2-esys.so") != std::string_view::npos;
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) Context* OSSL_LIB_CTX_new() {
    static const auto make = next<Context*()>("OSSL_LIB_CTX_new");
    if (!is_in_esys(__builtin_return_address(0)))
        return make();
    if (of_esys == nullptr) // ESYS runs on one thread
        of_esys = make();
    return of_esys;
}

__attribute__((visibility("default"))) void OSSL_LIB_CTX_free(Context* context) {
    static const auto free_other = next<void(Context*)>("OSSL_LIB_CTX_free");
    if (context != of_esys || context == nullptr)
        free_other(context);
}

} // extern "C"

#endif
#endif
