#pragma once
// All agents behind this one, as one client sees them.

#include "agent/key_store.hpp"
#include "agent/upstream.hpp"

#include <functional>
#include <span>
#include <vector>

namespace sshtpm::agent {

class Upstreams {
  public:
    explicit Upstreams(std::span<const std::shared_ptr<Upstream>> upstreams);

    bool empty() const noexcept { return links_.empty(); }

    // Messages and bindings stay where they are until the answer is there. Answers come without their frame.

    /// The list of these keys and, behind them, of what the others list that is not among them: framed. Takes
    /// no longer than a second, whatever the others do.
    /// @param own called when the others have answered: the keys of this agent as they are then.
    boost::asio::awaitable<Bytes> list(std::function<std::vector<HeldKeyPtr>()> own,
                                       const Bindings& bindings);

    /// The first answer that is not SSH_AGENT_FAILURE, of those who list this key before the others. Waits
    /// for a person that another agent asks.
    /// @param blob empty: no key is meant.
    boost::asio::awaitable<std::optional<Bytes>> first_answer(ByteView message, ByteView blob,
                                                              const Bindings& bindings);

    /// Tells all of them, those that rest, too, and waits a second at most. They are told even when the
    /// client goes meanwhile: the answer is no longer its own affair.
    boost::asio::awaitable<void> tell_all(ByteView message, const Bindings& bindings);

  private:
    /// What each of them answers within a second; nothing for those that do not.
    boost::asio::awaitable<std::vector<std::optional<Bytes>>> ask_all(ByteView message,
                                                                      const Bindings& bindings);

    /// Whether it answers a list request within a second; what it lists is known then. For those of whom
    /// nobody knows whether they will answer the next question.
    static boost::asio::awaitable<bool> is_well(UpstreamLink& link, const Bindings& bindings);

    std::vector<UpstreamLink> links_; ///< in the order of -A
};

} // namespace sshtpm::agent
