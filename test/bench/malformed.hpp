// SPDX-License-Identifier: MIT
#pragma once
// Messages that no agent can make sense of: of every type that has a wrong form, cut off, with lengths that
// lie, or of random bytes. The same ones in every run.

#include "base/bytes.hpp"

#include <cstdint>
#include <random>
#include <set>

namespace sshtpm::bench {

class Malformed {
  public:
    /// @param spared types of which none is made.
    explicit Malformed(std::set<int> spared);

    /// The next one, framed.
    Bytes frame();

  private:
    Bytes body();
    Bytes lie();

    std::mt19937 random_{20240229}; // any number, but the same one
    std::vector<std::uint8_t> types_;
    std::size_t turn_ = 0;
};

} // namespace sshtpm::bench
