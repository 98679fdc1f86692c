#pragma once
// What a person is asked, in words. All names in it are made printable: they come from files and from
// processes that want something.

#include "agent/client.hpp"
#include "identity/identity.hpp"
#include "tpm/capability.hpp"

#include <optional>
#include <string>

namespace sshtpm::agent {

/// Who asks for a signature, and what for; looked up when a person is to be told.
class Requester {
  public:
    /// @param data what is to be signed. Both stay where they are while this lives.
    Requester(const Client& client, ByteView data) : client_(client), data_(data) {}

    /// "Asked for by ssh (pid 4711), child of …, to log in as 'user'.", a line of its own.
    std::string words() const;
    /// The process that asks; nothing where the request may come from another host.
    std::optional<pid_t> process() const;

  private:
    const Client& client_;
    ByteView data_;
};

/// @param lockout nothing when the TPM did not say.
/// @param refused PINs that the TPM has refused in this request.
std::string pin_question(const identity::Identity& identity, const Requester& requester,
                         const std::optional<tpm::Lockout>& lockout, int refused);

std::string confirm_question(const identity::Identity& identity, const Requester& requester);

} // namespace sshtpm::agent
