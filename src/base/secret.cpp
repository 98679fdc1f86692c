#include "base/secret.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <bit>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include <sodium.h>

namespace sshtpm {

void wipe(std::span<std::uint8_t> memory) noexcept {
    sodium_memzero(memory.data(), memory.size());
}

void wipe(std::string& text) noexcept {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

Secret::Secret(std::size_t capacity) : capacity_(capacity) {
    if (sodium_init() < 0)
        throw Error(Errc::io, "libsodium did not start");
    // One byte at least: sodium_malloc(0) would give memory that no view may point into.
    data_ = static_cast<std::uint8_t*>(sodium_malloc(std::max<std::size_t>(capacity, 1)));
    if (data_ == nullptr)
        throw Error(Errc::io, "no guarded memory for a secret",
                    "raise the limit on locked memory (ulimit -l)");
    // sodium_malloc succeeds when its mlock fails; locking once more tells whether it held.
    locked_ = sodium_mlock(data_, std::max<std::size_t>(capacity, 1)) == 0;
    keep_from_children();
}

/// A child that is forked and does not exec (there is one: the emulator's supervisor) sees zeros.
void Secret::keep_from_children() noexcept {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto* begin = data_ - std::bit_cast<std::uintptr_t>(data_) % page;
    ::madvise(begin, static_cast<std::size_t>(data_ + capacity_ - begin), MADV_WIPEONFORK);
}

Secret Secret::copy_of(ByteView bytes) {
    Secret secret(bytes.size());
    secret.append(bytes);
    return secret;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)),
      size_(std::exchange(other.size_, 0)), locked_(std::exchange(other.locked_, false)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        release();
        data_ = std::exchange(other.data_, nullptr);
        capacity_ = std::exchange(other.capacity_, 0);
        size_ = std::exchange(other.size_, 0);
        locked_ = std::exchange(other.locked_, false);
    }
    return *this;
}

Secret::~Secret() {
    release();
}

void Secret::release() noexcept {
    sodium_free(data_); // wipes, and takes a null pointer
    data_ = nullptr;
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

} // namespace sshtpm
