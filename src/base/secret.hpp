#pragma once
// Memory for PINs, passwords and private keys: locked, between guard pages, wiped when it goes.

#include "base/bytes.hpp"

#include <cstddef>
#include <type_traits>

namespace sshtpm {

/// Zeroes memory in a way that the compiler cannot leave out.
void wipe(std::span<std::uint8_t> memory) noexcept;
void wipe(std::string& text) noexcept;

/// A secret of at most `capacity` bytes in libsodium's guarded memory. It moves and does not copy, does
/// not compare and does not print; `view()` is the one way to its bytes.
class Secret {
  public:
    Secret() noexcept = default;
    /// @throws Error(io) when guarded memory cannot be had.
    explicit Secret(std::size_t capacity);
    static Secret copy_of(ByteView bytes);

    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret();

    ByteView view() const noexcept { return {data_, size_}; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    /// Appends what fits; false, with nothing appended, when it does not fit.
    bool append(ByteView bytes) noexcept;
    /// Shortens; the cut bytes are wiped.
    void truncate(std::size_t size) noexcept;

    /// False when the system would not lock the pages: the secret may then reach swap.
    bool locked() const noexcept { return locked_; }

    friend bool operator==(const Secret&, const Secret&) = delete;

  private:
    void keep_from_children() noexcept;
    void release() noexcept;

    std::uint8_t* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
    bool locked_ = false;
};

/// Compares two secrets in constant time (their lengths are not hidden).
bool same_secret(const Secret& a, const Secret& b) noexcept;

/// A C struct that holds a secret for a moment: zeroed at both ends of its life.
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

} // namespace sshtpm
