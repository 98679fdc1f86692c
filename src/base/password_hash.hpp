#pragma once
// A password kept only as what it can be compared with: for a lock that is opened by its own password.

#include "base/bytes.hpp"

#include <array>

namespace sshtpm {

/// Argon2id with a random salt. Making one and asking one each cost the same, at the usual cost tenths of a
/// second and 64 MiB: callers do it off the loop.
class PasswordHash {
  public:
    enum class Cost {
        interactive, ///< libsodium's limits for interactive use
        least        ///< as good as none, for tests that make thousands
    };

    /// @throws Error(io) when the memory for it cannot be had.
    explicit PasswordHash(ByteView password, Cost cost = Cost::interactive);

    /// False for another password, and when the memory to find out cannot be had.
    bool matches(ByteView password) const;

  private:
    std::array<char, 128> text_{}; ///< libsodium's encoding, which holds the salt and the limits
};

} // namespace sshtpm
