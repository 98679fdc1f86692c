// SPDX-License-Identifier: MIT
// This program's own free() and realloc(): memory is zeroed before it goes back to the allocator.
//
// Without it, the scans of test/scenario/secrets_in_memory find PINs in freed memory: tpm2-tss, OpenSSL, the
// C library's streams and std::string free copies of secrets without wiping them. All of them call `free`,
// and the dynamic linker finds a program's definition before the C library's, so every library uses this one.
// The memory itself still comes from glibc, which allocates some before these functions take effect.
//
// Only the executable has this file. It does nothing under sanitizers, which have their own allocators, nor
// with other C libraries than glibc.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SSHTPM_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SSHTPM_SANITIZED
#endif
#endif

#if defined(__GLIBC__) && !defined(SSHTPM_SANITIZED)

// glibc exports its functions under these names for replacements such as these.
extern "C" {
void __libc_free(void* memory);                       // NOLINT(bugprone-reserved-identifier)
void* __libc_malloc(std::size_t size);                // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, std::size_t size); // NOLINT(bugprone-reserved-identifier)
}

namespace {

/// The compiler may not remove the memset, nor let _FORTIFY_SOURCE compare it with the size that was passed
/// to malloc. sodium_memzero does not do here: this runs before libraries start.
void zero(void* memory, std::size_t size) noexcept {
    __asm__ volatile("" : "+r"(memory));
    std::memset(memory, 0, size);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/// Not inlined, because GCC would replace the result by the size that was passed to malloc.
[[gnu::noinline]] std::size_t usable_size(void* memory) noexcept {
    return malloc_usable_size(memory);
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) void free(void* memory) noexcept {
    if (memory == nullptr)
        return;
    zero(memory, usable_size(memory));
    __libc_free(memory); // keeps errno
}

/// Moves memory itself, because glibc would free the old place without wiping it.
__attribute__((visibility("default"))) void* realloc(void* memory, std::size_t size) noexcept {
    if (memory == nullptr)
        return __libc_malloc(size);
    if (size == 0) { // as in glibc
        free(memory);
        return nullptr;
    }
    const auto had = usable_size(memory);
    if (size <= had) {
        zero(static_cast<char*>(memory) + size, had - size); // the allocator may take the rest back
        if (size > had / 2)
            return memory;
        return __libc_realloc(memory, size);
    }
    void* const moved = __libc_malloc(size);
    if (moved == nullptr)
        return nullptr;
    std::memcpy(moved, memory, had);
    free(memory);
    return moved;
}

} // extern "C"

#endif
