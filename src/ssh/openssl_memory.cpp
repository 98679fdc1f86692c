#include "ssh/openssl_memory.hpp"

#include "base/secret.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <malloc.h>

#include <openssl/crypto.h>

namespace sshtpm::ssh {

namespace {

void* allocate(std::size_t size, const char*, int) {
    return size == 0 ? nullptr : std::malloc(size);
}

void wipe_and_free(void* memory, const char*, int) {
    if (memory == nullptr)
        return;
    wipe({static_cast<std::uint8_t*>(memory), malloc_usable_size(memory)});
    std::free(memory);
}

/// realloc() could move and leave the old place as it is.
void* reallocate(void* memory, std::size_t size, const char* file, int line) {
    if (memory == nullptr)
        return allocate(size, file, line);
    void* moved = allocate(size, file, line);
    if (moved == nullptr && size != 0)
        return nullptr;
    if (moved != nullptr)
        std::memcpy(moved, memory, std::min(size, malloc_usable_size(memory)));
    wipe_and_free(memory, file, line);
    return moved;
}

} // namespace

bool wipe_what_openssl_frees() noexcept {
    return CRYPTO_set_mem_functions(allocate, reallocate, wipe_and_free) == 1;
}

} // namespace sshtpm::ssh
