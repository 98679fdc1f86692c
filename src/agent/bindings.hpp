#pragma once
// The session-binds of a client, as they are told to the agents behind this one.

#include "base/bytes.hpp"
#include "protocol/bound_sessions.hpp"

#include <span>
#include <vector>

namespace sshtpm::agent {

class Bindings {
  public:
    /// A bind that was accepted, without what stood behind it.
    void accepted(const protocol::SessionBind& bind);
    /// One that was not: the others are to distrust this connection too. Told once.
    void refused();

    std::span<const Bytes> messages() const noexcept { return messages_; }

  private:
    std::vector<Bytes> messages_;
    bool refused_ = false;
};

} // namespace sshtpm::agent
