#include "protocol/added_key.hpp"

#include "base/error.hpp"
#include "protocol/constraints.hpp"
#include "protocol/message.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sshtpm::protocol {

namespace {

/// The fields between the type and the comment, as OpenSSH's sshkey_private_serialize has them: 's' is a
/// string or an mpint, which look the same from outside, and 'b' a byte.
struct Layout {
    std::string_view type, fields;
};
constexpr std::array layouts{
    Layout{"ssh-ed25519", "ss"},
    Layout{"ssh-ed25519-cert-v01@openssh.com", "sss"},
    Layout{"sk-ssh-ed25519@openssh.com", "ssbss"},
    Layout{"sk-ssh-ed25519-cert-v01@openssh.com", "sssbss"},
    Layout{"sk-ecdsa-sha2-nistp256@openssh.com", "sssbss"},
    Layout{"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ssbss"},
    Layout{"ecdsa-sha2-nistp256", "sss"},
    Layout{"ecdsa-sha2-nistp384", "sss"},
    Layout{"ecdsa-sha2-nistp521", "sss"},
    Layout{"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ss"},
    Layout{"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ss"},
    Layout{"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ss"},
    Layout{"ssh-rsa", "ssssss"},
    Layout{"ssh-rsa-cert-v01@openssh.com", "sssss"},
    Layout{"ssh-dss", "sssss"},
    Layout{"ssh-dss-cert-v01@openssh.com", "ss"},
};

/// @returns false for a type that is not known.
bool skip_key(wire::Reader& body) {
    const auto type = body.text();
    const auto* const layout = std::ranges::find(layouts, type, &Layout::type);
    if (layout == layouts.end())
        return false;
    for (const char field : layout->fields) {
        if (field == 's')
            body.string();
        else
            body.byte();
    }
    body.string(); // the comment
    return true;
}

/// Nothing when one of the constraints is not known, and so where the next one begins.
std::optional<bool> has_lifetime(wire::Reader constraints) {
    bool found = false;
    while (!constraints.empty()) {
        switch (constraints.byte()) {
        case SSH_AGENT_CONSTRAIN_LIFETIME:
            constraints.uint32();
            found = true;
            break;
        case SSH_AGENT_CONSTRAIN_CONFIRM:
            break;
        case SSH_AGENT_CONSTRAIN_EXTENSION: // of those that ssh-add sends, each has one string behind its
                                            // name
            constraints.string();
            constraints.string();
            break;
        default:
            return std::nullopt;
        }
    }
    return found;
}

} // namespace

std::optional<Bytes> with_lifetime(ByteView message, std::uint32_t seconds) {
    try { // caught because the agent behind this one could not parse it either, or not in the same way
        wire::Reader body(message);
        const auto number = body.byte();
        if ((number != SSH_AGENTC_ADD_IDENTITY && number != SSH_AGENTC_ADD_ID_CONSTRAINED) || !skip_key(body))
            return std::nullopt;
        const auto lifetime = has_lifetime(body);
        if (!lifetime)
            return std::nullopt;
        if (*lifetime)
            return copy_of(message);
        wire::Writer writer;
        writer.byte(SSH_AGENTC_ADD_ID_CONSTRAINED).raw(message.subspan(1));
        writer.byte(SSH_AGENT_CONSTRAIN_LIFETIME).uint32(seconds);
        return std::move(writer).bytes();
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace sshtpm::protocol
