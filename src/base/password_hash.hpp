#pragma once
// A password kept only as what it can be compared with: for a lock that is opened by its own password.

#include "base/bytes.hpp"

#include <array>

namespace sshtpm {

/// Argon2id with a random salt, at libsodium's limits for interactive use (64 MiB). Making one and asking one
/// each take tenths of a second and that memory: callers do it off the loop.
class PasswordHash {
  public:
    /// @throws Error(io) when the memory for it cannot be had.
    explicit PasswordHash(ByteView password);

    /// False for another password, and when the memory to find out cannot be had.
    bool matches(ByteView password) const;

  private:
    std::array<char, 128> text_{}; ///< libsodium's encoding, which holds the salt and the limits
};

} // namespace sshtpm
