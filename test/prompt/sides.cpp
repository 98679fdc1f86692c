// SPDX-License-Identifier: MIT
// Each side of the prompter's socket, and a test at the other end.

#include "base/error.hpp"
#include "base/log.hpp"
#include "pair.hpp"
#include "script.hpp"
#include "support/hex.hpp"
#include "support/variable.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using namespace prompt;
using support::unhex;
namespace asio = boost::asio;

namespace {

Bytes packet(std::uint32_t number, Result result) {
    const auto message = message_of(Reply{.number = number, .result = std::move(result)});
    return {message.view().begin(), message.view().end()};
}

/// The other end of the socket of the side under test.
class Peer {
  public:
    explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}

    void send(const Bytes& message) {
        REQUIRE(::send(socket_.value(), message.data(), message.size(), MSG_NOSIGNAL) >= 0);
    }
    /// Nothing if there is no message now; empty at the end of the socket.
    std::optional<Bytes> receive() {
        Bytes message(max_request + 1);
        const auto got = ::recv(socket_.value(), message.data(), message.size(), MSG_DONTWAIT);
        if (got < 0)
            return std::nullopt;
        message.resize(static_cast<std::size_t>(got));
        return message;
    }
    void hang_up() { socket_.reset(); }

  private:
    UniqueFd socket_;
};

/// An agent's side, and what came of its questions.
class AgentSide {
  public:
    explicit AgentSide(std::pair<UniqueFd, UniqueFd> sockets = support::packet_sockets())
        : peer(std::move(sockets.second)), client(loop.get_executor(), sockets.first.value()) {
        log::configure("test", log::Level::nothing);
    }

    /// @returns where the answer will be
    std::shared_ptr<std::string> ask() {
        auto out = std::make_shared<std::string>("open");
        asio::co_spawn(loop, client.ask("PIN: "),
                       asio::bind_cancellation_slot(
                           cancels.emplace_back().slot(),
                           [out](const std::exception_ptr& failure, const Answer& answer) {
                               const auto* secret = std::get_if<Secret>(&answer);
                               *out = failure  ? "taken back"
                                      : secret ? std::string(text_of(secret->view()))
                                               : std::string(in_words(std::get<Unanswered>(answer)));
                           }));
        poll();
        return out;
    }
    std::optional<Confirmation> confirm() {
        std::optional<Confirmation> out;
        asio::co_spawn(loop, client.confirm("Allow?"),
                       [&](const std::exception_ptr&, Confirmation answer) { out = answer; });
        poll();
        return out;
    }
    void poll() {
        loop.restart();
        loop.poll();
    }

    std::deque<asio::cancellation_signal> cancels; ///< of each question
    asio::io_context loop;
    Peer peer;
    PrompterClient client;
};

const std::string failed(in_words(Unanswered::failed));

} // namespace

TEST_CASE("an agent gets the answer to its question, whatever the order") {
    AgentSide agent;
    const auto first = agent.ask(), second = agent.ask();
    CHECK(agent.peer.receive() == unhex("00000001 01 50494e3a20"));
    CHECK(agent.peer.receive() == unhex("00000002 01 50494e3a20"));
    agent.peer.send(packet(2, Secret::copy_of(bytes_of("2222"))));
    agent.peer.send(packet(1, Unanswered::cancelled));
    agent.poll();
    CHECK(*first == "the question was cancelled");
    CHECK(*second == "2222");
    CHECK(agent.loop.run_one() == 0); // nothing waits for replies without a question
}

TEST_CASE("a question that is taken back is cancelled, and its late answer dropped") {
    AgentSide agent;
    const auto gone = agent.ask();
    agent.cancels.back().emit(asio::cancellation_type::terminal);
    agent.poll();
    CHECK(*gone == "taken back");
    CHECK(agent.peer.receive() == unhex("00000001 01 50494e3a20"));
    CHECK(agent.peer.receive() == unhex("00000001 05"));
    const auto next = agent.ask();
    agent.peer.send(packet(1, Secret::copy_of(bytes_of("1111"))));
    agent.poll();
    CHECK(*next == "open");
    agent.peer.send(packet(2, Secret::copy_of(bytes_of("2222"))));
    agent.poll();
    CHECK(*next == "2222");
}

TEST_CASE("a question that the prompter suspends is asked again after the others have ended") {
    AgentSide agent;
    const auto question = agent.ask();
    CHECK(agent.peer.receive());
    agent.peer.send(packet(1, Suspended{}));
    agent.poll();
    CHECK(agent.peer.receive() == unhex("00000002 04"));
    CHECK_FALSE(agent.peer.receive());
    agent.peer.send(packet(2, Suspended{}));
    agent.poll();
    CHECK(agent.peer.receive() == unhex("00000001 01 50494e3a20"));
    agent.peer.send(packet(1, Secret::copy_of(bytes_of("1111"))));
    agent.poll();
    CHECK(*question == "1111");
}

TEST_CASE("a prompter that ends or sends a wrong reply is a no to its questions and to all later ones") {
    const std::function<void(Peer&)> ends[] = {
        [](Peer& peer) { peer.hang_up(); },
        [](Peer& peer) { peer.send({}); },
        [](Peer& peer) { peer.send(unhex("00000001 09")); },
        [](Peer& peer) { peer.send(Bytes(100'000)); },
        [](Peer& peer) { peer.send(packet(3, Secret::copy_of(bytes_of("1234")))); }, // of no request
        [](Peer& peer) { peer.send(packet(1, Confirmation::yes)); },                 // to another question
        [](Peer& peer) { peer.send(packet(1, prompt::Asker::terminal)); },
    };
    for (const auto& end : ends) {
        INFO("end " << &end - ends);
        AgentSide agent;
        const auto one = agent.ask(), other = agent.ask();
        while (agent.peer.receive())
            ;
        end(agent.peer);
        agent.poll();
        CHECK(*one == failed);
        CHECK(*other == failed);
        CHECK(*agent.ask() == failed);
        CHECK(agent.confirm() == Confirmation::failed);
        CHECK(agent.loop.run_one() == 0);
    }
}

TEST_CASE("a yes to one request is no yes to another") {
    AgentSide agent;
    std::optional<Confirmation> allowed;
    asio::co_spawn(agent.loop, agent.client.confirm("Allow?"),
                   [&](const std::exception_ptr&, Confirmation answer) { allowed = answer; });
    agent.poll();
    agent.peer.send(packet(1, Secret()));
    agent.poll();
    CHECK(allowed == Confirmation::failed);
}

TEST_CASE("a prompter ends with its socket and at a malformed request, and takes its questions along") {
    const std::function<void(Peer&)> ends[] = {
        [](Peer& peer) { peer.hang_up(); },
        [](Peer& peer) { peer.send({}); },
        [](Peer& peer) { peer.send(unhex("00000002 00")); },
        [](Peer& peer) { peer.send(unhex("00000002 01 00")); },
        [](Peer& peer) { peer.send(Bytes(100'000)); },
        [](Peer& peer) { peer.send(unhex("00000001 01 3f")); }, // a number that is in use
    };
    log::configure("test", log::Level::nothing);
    const Script silence{"echo $$ > \"$0.pid\"; exec sleep 600"};
    const support::Variable askpass("SSH_ASKPASS", silence.path().c_str()),
        require("SSH_ASKPASS_REQUIRE", "force");
    for (const auto& end : ends) {
        INFO("end " << &end - ends);
        auto [ours, its] = support::packet_sockets();
        Peer agent(std::move(ours));
        asio::io_context loop;
        const Prompter prompter(loop.get_executor(), std::move(its));
        agent.send(unhex("00000001 01 50494e3a20"));
        loop.poll();
        end(agent);
        loop.run(); // returns, because nothing is open
    }
}

TEST_CASE("a prompter answers a request with its number") {
    const Script person{R"(case $1 in Allow*) echo yes;; *) echo 1234;; esac)"};
    const support::Variable askpass("SSH_ASKPASS", person.path().c_str()),
        require("SSH_ASKPASS_REQUIRE", "force");
    auto [ours, its] = support::packet_sockets();
    Peer agent(std::move(ours));
    asio::io_context loop;
    const Prompter prompter(loop.get_executor(), std::move(its));
    const auto reply_to = [&](const char* request) {
        agent.send(unhex(request));
        for (;;) {
            if (auto reply = agent.receive())
                return *reply;
            loop.run_one();
        }
    };
    CHECK(reply_to("000000ff 01 50494e") == packet(255, Secret::copy_of(bytes_of("1234"))));
    CHECK(reply_to("00000100 02 416c6c6f77") == packet(256, Confirmation::yes));
    CHECK(reply_to("00000101 03") == packet(257, prompt::Asker::askpass));
    CHECK(reply_to("00000102 04") == packet(258, Suspended{}));
    agent.send(unhex("00000001 05")); // nothing to cancel
    CHECK(reply_to("000000ff 03") == packet(255, prompt::Asker::askpass));
}

TEST_CASE("a thousand questions get a thousand answers") {
    const Script person{"echo yes"};
    const support::Variable askpass("SSH_ASKPASS", person.path().c_str()),
        require("SSH_ASKPASS_REQUIRE", "force");
    asio::io_context loop;
    support::PromptPair pair(loop.get_executor());
    constexpr int many = 1000;
    int allowed = 0;
    std::function<void()> ask = [&] {
        asio::co_spawn(loop, pair.client.confirm("Allow?"),
                       [&](const std::exception_ptr&, Confirmation answer) {
                           if (answer != Confirmation::yes || ++allowed == many)
                               return pair.client.close();
                           ask();
                       });
    };
    ask();
    loop.run();
    CHECK(allowed == many);
}
