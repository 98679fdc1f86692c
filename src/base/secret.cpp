// SPDX-License-Identifier: MIT
#include "base/secret.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

namespace sshtpm {

namespace {

void start_sodium() {
    if (sodium_init() < 0)
        throw Error(Errc::io, "libsodium did not start");
}

/// Hides the memory from forked children that do not exec, such as the emulator's supervisor: they see zeros.
void keep_from_children(std::uint8_t* data, std::size_t size) noexcept {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto* const begin = data - std::bit_cast<std::uintptr_t>(data) % page;
    ::madvise(begin, static_cast<std::size_t>(data + size - begin), MADV_WIPEONFORK);
}

/// libsodium refuses a null pointer, even for an empty password.
std::string_view text_to_hash(ByteView password) {
    return password.empty() ? std::string_view("") : text_of(password);
}

} // namespace

void wipe(std::span<std::uint8_t> memory) noexcept {
    sodium_memzero(memory.data(), memory.size());
}

void wipe(std::string& text) noexcept {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

Secret::Secret(std::size_t capacity) : capacity_(capacity) {
    start_sodium();
    // At least one byte, because sodium_malloc(0) returns memory that no view may point into.
    const auto allocated = std::max<std::size_t>(capacity, 1);
    data_ = static_cast<std::uint8_t*>(sodium_malloc(allocated));
    if (data_ == nullptr)
        throw Error(Errc::io, "no guarded memory for a secret",
                    "raise the limit on locked memory (ulimit -l)");
    // sodium_malloc ignores a failure of its mlock; a second call reports it.
    locked_ = sodium_mlock(data_, allocated) == 0;
    keep_from_children(data_, allocated);
}

Secret Secret::copy_of(ByteView bytes) {
    Secret secret(bytes.size());
    secret.append(bytes);
    return secret;
}

Secret::~Secret() {
    sodium_free(data_); // wipes; takes a null pointer
}

void Secret::swap(Secret& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
    std::swap(locked_, other.locked_);
}

bool Secret::append(ByteView bytes) noexcept {
    if (bytes.size() > capacity_ - size_)
        return false;
    std::ranges::copy(bytes, data_ + size_);
    size_ += bytes.size();
    return true;
}

void Secret::truncate(std::size_t size) noexcept {
    if (size >= size_)
        return;
    wipe({data_ + size, size_ - size});
    size_ = size;
}

bool same_secret(const Secret& a, const Secret& b) noexcept {
    return a.size() == b.size() &&
           (a.empty() || sodium_memcmp(a.view().data(), b.view().data(), a.size()) == 0);
}

PasswordHash::PasswordHash(ByteView password, Cost cost) {
    static_assert(sizeof(text_) == crypto_pwhash_STRBYTES);
    start_sodium();
    const auto text = text_to_hash(password);
    const bool least = cost == Cost::least;
    if (crypto_pwhash_str(text_.data(), text.data(), text.size(),
                          least ? crypto_pwhash_OPSLIMIT_MIN : crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          least ? crypto_pwhash_MEMLIMIT_MIN : crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        throw Error(Errc::io, "no memory to hash a password (64 MiB)");
}

bool PasswordHash::matches(ByteView password) const {
    const auto text = text_to_hash(password);
    return crypto_pwhash_str_verify(text_.data(), text.data(), text.size()) == 0;
}

} // namespace sshtpm
