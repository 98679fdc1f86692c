#pragma once
// A key that the agent holds, with what it may be used for.

#include "identity/identity.hpp"
#include "os/boottime.hpp"
#include "protocol/constraints.hpp"

#include <memory>
#include <optional>

namespace sshtpm::agent {

inline constexpr std::size_t max_comment = 1024; ///< characters of a comment that are listed

using IdentityPtr = std::shared_ptr<const identity::Identity>;

/// One line of the agent's list: a key, or a certificate of it, which is a line of its own as in ssh-agent.
struct HeldKey {
    enum class Origin {
        folder,    ///< a file of the key folder: it comes and goes with the file
        client,    ///< a client gave a key file
        sealed,    ///< a client gave a private key, which went into the TPM on arrival
        hierarchy, ///< the TPM makes it from a seed; it is there from the start
    };

    IdentityPtr identity;
    std::optional<ssh::Certificate> certificate = {};
    Origin origin = Origin::client;
    protocol::Constraints constraints = {};
    std::optional<os::BootClock::time_point> dies = {};

    /// What clients name it by.
    ByteView blob() const noexcept {
        return certificate ? ByteView(certificate->blob) : identity->public_key.blob();
    }
    bool certifies() const noexcept { return certificate.has_value(); }
    /// True when its terms are a client's.
    bool is_given() const noexcept { return origin == Origin::client || origin == Origin::sealed; }
};

using HeldKeyPtr = std::shared_ptr<const HeldKey>;

} // namespace sshtpm::agent
