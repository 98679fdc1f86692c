#pragma once
// The session-binds of a client, as they are told to the agents behind this one.

#include "base/bytes.hpp"

#include <span>
#include <vector>

namespace sshtpm::agent {

class Bindings {
  public:
    /// A bind that was accepted, as it came.
    void accepted(ByteView message) { messages_.push_back(copy_of(message)); }
    /// One that was not: the others are to distrust this connection too. Told once.
    void refused();

    std::span<const Bytes> messages() const noexcept { return messages_; }

  private:
    std::vector<Bytes> messages_;
    bool refused_ = false;
};

} // namespace sshtpm::agent
