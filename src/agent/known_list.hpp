#pragma once
// What another agent listed last, without what would spoil a list for OpenSSH's programs.

#include "base/bytes.hpp"
#include "protocol/reply.hpp"

#include <string>
#include <unordered_set>
#include <vector>

namespace sshtpm::agent {

class KnownList {
  public:
    /// Judges a list that has come, of which each blob costs time once only, and remembers it.
    /// @returns those of the keys that others may be shown.
    std::vector<protocol::ListedKey> take(const std::vector<protocol::ListedKey>& keys);
    /// Why a key was left out of the last list; empty when none was.
    const std::string& left_out() const noexcept { return left_out_; }

    bool contains(ByteView blob) const { return shown_.contains(std::string(text_of(blob))); }
    void clear() noexcept { shown_.clear(); }

  private:
    std::unordered_set<std::string> shown_, spoiling_; ///< of the last list
    std::string left_out_;
};

} // namespace sshtpm::agent
