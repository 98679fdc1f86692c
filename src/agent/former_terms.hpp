#pragma once
// What clients demanded of keys of the key folder that are no longer held for them.

#include "agent/held_key.hpp"

#include <string>
#include <unordered_map>

namespace sshtpm::agent {

/// A key that a client has added for a time, or removed again, stays away when its file is touched: the
/// folder would give it without what the client demanded. Each key has two memories, one of itself and one of
/// its certificate.
class FormerTerms {
  public:
    /// A line that a client gave has reached its end or was removed: it is away from now on.
    void gone(const HeldKey& line);
    /// A client gives it again, on new terms.
    void given(const HeldKey& line);
    /// All may come back, on their former terms.
    void let_back();

    /// True for what the folder is not to give now. A certificate is away with its key too: it would serve
    /// the key.
    bool away(const HeldKey& line) const;
    /// Adds confirmation and destinations as they were. Lifetimes are over.
    void apply_to(HeldKey& line) const;

  private:
    struct Terms {
        bool away = true;
        Bytes blob; ///< a certificate's, of which another one may come
        protocol::Constraints constraints;
    };
    struct Memory {
        std::optional<Terms> key, certificate;
    };

    std::unordered_map<std::string, Memory> keys_; ///< by the blob of the bare key
};

} // namespace sshtpm::agent
