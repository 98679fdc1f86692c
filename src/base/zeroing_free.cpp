// This program's own free() and realloc(): memory is zeroed before it goes back to the allocator.
//
// Without it, the scans of test/scenario/secrets_in_memory find PINs in freed memory. tpm2-tss copies an
// object's auth value into its own heap and frees some of the copies as they are; OpenSSL, which reads
// private keys, the C library's streams and std::string do the same with what passes through them. All of
// them call `free`, and a program's definition comes before the C library's in the search of the dynamic
// linker: one definition here reaches every library that is linked or loaded. The memory itself stays
// glibc's, so that what was allocated before this is in force is freed rightly as well.
//
// This file is compiled into the executable alone. Sanitizers have allocators of their own and are left
// alone, and so are C libraries other than glibc.

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

// glibc's own names of what is replaced here, exported for this purpose.
extern "C" {
void __libc_free(void* memory);                       // NOLINT(bugprone-reserved-identifier)
void* __libc_malloc(std::size_t size);                // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, std::size_t size); // NOLINT(bugprone-reserved-identifier)
}

namespace {

/// Zeroes what the compiler takes for dead. Plain memset: this runs before any library has been started.
void zero(void* memory, std::size_t size) noexcept {
    std::memset(memory, 0, size);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/// GCC would put the checked size of malloc's attributes in the place of the one asked for.
std::size_t usable_size(void* memory) noexcept {
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

/// In place where the memory is large enough, else moved here: glibc would free the old place as it is.
__attribute__((visibility("default"))) void* realloc(void* memory, std::size_t size) noexcept {
    if (memory == nullptr)
        return __libc_malloc(size);
    if (size == 0) { // as glibc has it
        free(memory);
        return nullptr;
    }
    const auto had = usable_size(memory);
    if (size <= had) {
        zero(static_cast<char*>(memory) + size, had - size); // a cut part may go back to the allocator
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
