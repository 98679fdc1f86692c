#include "agent/bindings.hpp"

#include "protocol/message.hpp"
#include "wire/writer.hpp"

namespace sshtpm::agent {

void Bindings::accepted(const protocol::SessionBind& bind) {
    messages_.push_back(wire::Writer()
                            .byte(protocol::SSH_AGENTC_EXTENSION)
                            .text(protocol::extension::session_bind)
                            .string(bind.host_key)
                            .string(bind.session_id)
                            .string(bind.signature)
                            .byte(bind.is_forwarding ? 1 : 0)
                            .bytes());
}

void Bindings::refused() {
    if (refused_)
        return;
    refused_ = true;
    // Without a body no agent takes it, and each notes that it was tried.
    messages_.push_back(
        wire::Writer().byte(protocol::SSH_AGENTC_EXTENSION).text(protocol::extension::session_bind).bytes());
}

} // namespace sshtpm::agent
