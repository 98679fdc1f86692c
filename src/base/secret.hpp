// SPDX-License-Identifier: MIT
#pragma once
// Memory for PINs, passwords and private keys, and the hash of a password.

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sshtpm {

/// Zeroes memory; the compiler cannot leave it out.
void wipe(std::span<std::uint8_t> memory) noexcept;
void wipe(std::string& text) noexcept;

/// A secret of at most `capacity` bytes in libsodium's guarded memory: locked, between guard pages, wiped at
/// the end. It cannot be copied, compared or printed.
class Secret {
  public:
    Secret() noexcept = default;
    /// @throws Error(io) if there is no guarded memory.
    explicit Secret(std::size_t capacity);
    static Secret copy_of(ByteView bytes);

    Secret(Secret&& other) noexcept { swap(other); }
    Secret& operator=(Secret&& other) noexcept {
        Secret taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Secret();

    ByteView view() const noexcept { return {data_, size_}; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    /// The free memory behind its bytes, for a call such as read(2). `grow` makes what was read a part of it.
    std::span<std::uint8_t> room() noexcept { return {data_ + size_, capacity_ - size_}; }
    void grow(std::size_t bytes) noexcept { size_ += std::min(bytes, capacity_ - size_); }
    /// @returns false, with nothing appended, if the bytes do not fit
    bool append(ByteView bytes) noexcept;
    /// Cuts off and wipes the bytes from `size` on.
    void truncate(std::size_t size) noexcept;

    /// False if the system did not lock the memory: it may be written to swap.
    bool locked() const noexcept { return locked_; }

    friend bool operator==(const Secret&, const Secret&) = delete;

  private:
    void swap(Secret& other) noexcept;

    std::uint8_t* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
    bool locked_ = false;
};

/// The duration depends on the lengths alone.
bool same_secret(const Secret& a, const Secret& b) noexcept;

/// A C struct for a secret: zeroed at first, wiped at its end.
template <class T>
    requires std::is_trivially_copyable_v<T>
class Wiped {
  public:
    Wiped() noexcept = default;
    explicit Wiped(const T& value) noexcept : value_(value) {}
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    ~Wiped() { wipe(memory_of(value_)); }

    T& operator*() noexcept { return value_; }
    T* operator->() noexcept { return &value_; }
    T* get() noexcept { return &value_; }
    const T* get() const noexcept { return &value_; }

  private:
    T value_{};
};

/// Argon2id with a random salt. Hashing and comparing take tenths of a second and 64 MiB each at the usual
/// cost, so callers do it off the event loop.
class PasswordHash {
  public:
    enum class Cost {
        interactive, ///< libsodium's limits for interactive use
        least,       ///< libsodium's minimum, for tests that make thousands
    };

    /// @throws Error(io) if there is not enough memory.
    explicit PasswordHash(ByteView password, Cost cost = Cost::interactive);

    /// False for another password, and if there is not enough memory to compare.
    bool matches(ByteView password) const;

  private:
    std::array<char, 128> text_{}; ///< libsodium's encoding, with the salt and the limits
};

} // namespace sshtpm
