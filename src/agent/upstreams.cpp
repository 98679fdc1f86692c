#include "agent/upstreams.hpp"

#include "agent/held_key.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "protocol/message.hpp"
#include "protocol/reply.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr std::array<std::uint8_t, 1> list_request{protocol::SSH_AGENTC_REQUEST_IDENTITIES};

/// Finds out, while nobody waits for it, whether an agent that has misbehaved is well again. It is shared
/// with nobody: a probe is no client's connection.
asio::awaitable<void> probe(std::shared_ptr<Upstream> upstream) {
    const auto begun = Upstream::Clock::now();
    const auto stays = upstream;
    UpstreamLink link(std::move(upstream));
    const Bindings none;
    const auto answer = co_await link.probe(list_request, none, time_limits().upstream_list);
    if (!answer)
        co_return;
    try { // caught because rubbish is an answer to the probe's question, too
        (void)protocol::read_identities_reply(*answer);
        stays->answered();
    } catch (const Error& error) {
        stays->misbehaved(error.what(), begun);
    }
}

void probe_if_due(const asio::any_io_executor& loop, const UpstreamLink& link) {
    if (link.upstream().due_for_probe())
        asio::co_spawn(loop, probe(link.shared_upstream()), asio::detached);
}

/// Takes its answer to a list request. @throws Error(malformed)
std::vector<protocol::ListedKey> take_answer(Upstream& upstream, const Bytes& answer) {
    auto keys = upstream.take_list(protocol::read_identities_reply(answer));
    if (!upstream.resting()) // an old connection that is good says nothing of new ones
        upstream.answered();
    return keys;
}

/// One that asked a person did not list meanwhile: when it has answered, its keys are back at once. Another
/// answer than a good list does not make it well.
asio::awaitable<void> look_again(UpstreamLink& link, const Bindings& bindings) {
    const auto answer = co_await link.ask(list_request, bindings, time_limits().upstream_list);
    if (!answer)
        co_return;
    try { // caught because it stays suspected then
        (void)take_answer(link.upstream(), *answer);
        link.upstream().answered();
    } catch (const Error& error) {
        log::debug("a list of an agent behind this one: ", error.what());
    }
}

/// Tells one, whoever waits for that. Message and bindings are its own.
asio::awaitable<void> tell(UpstreamLink link, Bytes message, Bindings bindings) {
    const auto answer = co_await link.probe(message, bindings, time_limits().upstream_list);
    // There are agents without protocol 1, where all keys are gone by the other message.
    const bool demanded = message.front() != protocol::SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES;
    if (!answer || (demanded && answer->front() != protocol::SSH_AGENT_SUCCESS))
        log::error("the agent at ", printable(link.upstream().path().string()),
                   " was told to remove its keys, and did not say that it has");
}

/// How many are not done yet, and the timer that ends early when none is left.
struct Countdown {
    std::size_t left;
    asio::steady_timer over;
};

/// A list that grows: own keys first, each blob once.
class MergedList {
  public:
    explicit MergedList(const std::vector<HeldKeyPtr>& own) {
        for (const auto& key : own)
            add(key->blob(), key->identity->comment);
    }

    /// The answer of another agent. @throws Error(malformed), and nothing of it is taken.
    void add(Upstream& upstream, const Bytes& answer) {
        for (const auto& key : take_answer(upstream, answer))
            add(key.blob, printable(key.comment, max_comment));
    }

    Bytes reply() const {
        std::vector<protocol::ListedKey> keys;
        for (const auto& [blob, comment] : keys_)
            keys.push_back({bytes_of(blob), comment});
        return protocol::identities_reply(keys);
    }

  private:
    void add(ByteView blob, const std::string& comment) {
        std::string name(text_of(blob));
        if (seen_.insert(name).second)
            keys_.emplace_back(std::move(name), comment);
    }

    std::vector<std::pair<std::string, std::string>> keys_;
    std::unordered_set<std::string> seen_;
};

} // namespace

Upstreams::Upstreams(std::span<const std::shared_ptr<Upstream>> upstreams) {
    for (const auto& upstream : upstreams)
        links_.emplace_back(upstream);
}

asio::awaitable<std::vector<std::optional<Bytes>>> Upstreams::ask_all(ByteView message,
                                                                      const Bindings& bindings) {
    if (links_.empty())
        co_return std::vector<std::optional<Bytes>>{};
    const auto loop = co_await asio::this_coro::executor;
    const auto start = [&](UpstreamLink& link) {
        return asio::co_spawn(loop, link.ask(message, bindings, time_limits().upstream_list), asio::deferred);
    };
    using Operation = decltype(start(links_.front()));
    std::vector<Operation> operations;
    for (auto& link : links_) {
        probe_if_due(loop, link);
        operations.push_back(start(link)); // one that is resting answers nothing at once
    }
    auto [order, failures, answers] =
        co_await asio::experimental::make_parallel_group(std::move(operations))
            .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
    co_return std::move(answers);
}

asio::awaitable<Bytes> Upstreams::list(std::function<std::vector<HeldKeyPtr>()> own,
                                       const Bindings& bindings) {
    const auto begun = Upstream::Clock::now();
    const auto answers = co_await ask_all(list_request, bindings);
    MergedList list(own());
    for (std::size_t i = 0; i < answers.size(); ++i) {
        if (!answers[i])
            continue;
        try { // caught to go on with the next
            list.add(links_[i].upstream(), *answers[i]);
        } catch (const Error& error) {
            links_[i].upstream().misbehaved(error.what(), begun);
        }
    }
    co_return list.reply();
}

asio::awaitable<bool> Upstreams::is_well(UpstreamLink& link, const Bindings& bindings) {
    probe_if_due(co_await asio::this_coro::executor, link);
    const auto begun = Upstream::Clock::now();
    const auto answer = co_await link.ask(list_request, bindings, time_limits().upstream_list);
    if (!answer)
        co_return false;
    try { // caught to go on with the next
        (void)take_answer(link.upstream(), *answer);
        co_return true;
    } catch (const Error& error) {
        link.upstream().misbehaved(error.what(), begun);
    }
    co_return false;
}

asio::awaitable<std::optional<Bytes>> Upstreams::first_answer(ByteView message, ByteView blob,
                                                              const Bindings& bindings) {
    std::vector<UpstreamLink*> order;
    for (auto& link : links_)
        order.push_back(&link);
    std::ranges::stable_partition(order, [&](const auto* link) { return link->upstream().listed(blob); });
    for (auto* link : order) {
        // One that lists the key may be slow because it asks a person. Of the others it is found out first
        // whether they answer at all: they must not stand between the request and the one that it is for.
        if (!link->upstream().listed(blob)) {
            const bool well = co_await is_well(*link, bindings);
            if (!well)
                continue;
        }
        auto answer = co_await link->probe(message, bindings, time_limits().upstream_request);
        if (answer && link->upstream().suspected())
            co_await look_again(*link, bindings);
        if (answer && answer->front() != protocol::SSH_AGENT_FAILURE)
            co_return std::move(answer);
    }
    co_return std::nullopt;
}

asio::awaitable<void> Upstreams::tell_all(ByteView message, const Bindings& bindings) {
    const auto loop = co_await asio::this_coro::executor;
    const auto countdown = std::make_shared<Countdown>(
        links_.size(), asio::steady_timer(loop, asio::steady_timer::time_point::max()));
    const auto one_less = [countdown](const std::exception_ptr&) { // no memory, say
        if (--countdown->left == 0)
            countdown->over.cancel();
    };
    for (auto& link : links_)
        asio::co_spawn(loop, tell(link.split(), copy_of(message), bindings), one_less);
    boost::system::error_code over;
    if (countdown->left > 0)
        co_await countdown->over.async_wait(asio::redirect_error(asio::use_awaitable, over));
}

} // namespace sshtpm::agent
