#include "agent/reply.hpp"

#include "agent/frame.hpp"
#include "agent/message.hpp"
#include "wire/writer.hpp"

namespace sshtpm::agent {

namespace {

/// OpenSSH's clients give up on a longer list.
constexpr std::uint32_t max_keys = 2048;

/// The growing body of the answer, and what still fits.
class IdentityList {
  public:
    void add(ByteView blob, std::string_view comment) {
        constexpr std::size_t head = 1 + 4, two_lengths = 8;
        const auto size = two_lengths + blob.size() + comment.size();
        if (count_ == max_keys || head + entries_.bytes().size() + size > max_message)
            return;
        entries_.string(blob).text(comment);
        ++count_;
    }

    Bytes message() const {
        return wire::Writer().byte(SSH_AGENT_IDENTITIES_ANSWER).uint32(count_).raw(entries_.bytes()).bytes();
    }

  private:
    wire::Writer entries_;
    std::uint32_t count_ = 0;
};

} // namespace

Bytes failure_reply() {
    return framed(wire::Writer().byte(SSH_AGENT_FAILURE).bytes());
}

Bytes identities_reply(std::span<const std::shared_ptr<const identity::Identity>> identities) {
    IdentityList list;
    for (const auto& identity : identities) {
        list.add(identity->public_key.blob(), identity->comment);
        if (identity->certificate)
            list.add(identity->certificate->blob, identity->comment);
    }
    return framed(list.message());
}

Bytes sign_reply(ByteView signature) {
    return framed(wire::Writer().byte(SSH_AGENT_SIGN_RESPONSE).string(signature).bytes());
}

} // namespace sshtpm::agent
