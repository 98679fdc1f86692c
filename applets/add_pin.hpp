#pragma once
// ssh-tpm-add --pin: the PIN is asked for here, and the TPM tries it, before a key counts as added.

#include "applets/add_files.hpp"
#include "protocol/client.hpp"

#include <functional>

namespace sshtpm::applets {

struct PinAddition {
    const KeyToAdd& key;
    bool confirm = false;      ///< said in the question, as ssh-add does
    std::function<void()> add; ///< gives the key to the agent
};

/// Returns when the PIN was right. While a person thinks, and when they give up or fail (three tries), the
/// agent does not have the key, unless it had it before.
/// @throws Error(auth | lockout | refused | unsupported)
void add_with_pin(protocol::Client& agent, const PinAddition& addition);

} // namespace sshtpm::applets
