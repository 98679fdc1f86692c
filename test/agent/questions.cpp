// SPDX-License-Identifier: MIT
#include "agent/questions.hpp"

#include "support/catch.hpp"

#include <deque>
#include <optional>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using agent::QuestionQueue;
namespace asio = boost::asio;

namespace {

asio::awaitable<void> take(QuestionQueue& queue, QuestionQueue::Question question,
                           std::optional<QuestionQueue::Place>& place) {
    place.emplace(co_await queue.wait(std::move(question)));
}

/// A queue, and the places in it in the order in which they were asked for.
class Waiting {
  public:
    ~Waiting() {
        for (auto& signal : cancels_) // no place outlives the queue
            signal.emit(asio::cancellation_type::terminal);
        run();
    }

    std::size_t ask(QuestionQueue::Question question) {
        auto& place = places_.emplace_back();
        asio::co_spawn(loop_, take(queue_, std::move(question), place),
                       asio::bind_cancellation_slot(cancels_.emplace_back().slot(), asio::detached));
        run();
        return places_.size() - 1;
    }
    void answer(std::size_t number) {
        REQUIRE(is_open(number));
        places_[number].reset();
        run();
    }
    void cancel(std::size_t number) {
        cancels_[number].emit(asio::cancellation_type::terminal);
        run();
    }
    void wake(const std::string& key) {
        queue_.wake(key);
        run();
    }
    bool waits(std::size_t number) const { return !places_[number]; }
    bool is_open(std::size_t number) const { return places_[number] && places_[number]->open(); }

  private:
    void run() {
        loop_.restart();
        loop_.poll();
    }

    asio::io_context loop_;
    QuestionQueue queue_{loop_.get_executor()};
    std::deque<asio::cancellation_signal> cancels_;
    std::deque<std::optional<QuestionQueue::Place>> places_;
};

constexpr pid_t greedy = 1, modest = 2, late = 3;

} // namespace

TEST_CASE("four questions are open at most, and two of one process") {
    Waiting queue;
    const auto first = queue.ask({.process = greedy}), second = queue.ask({.process = greedy}),
               third = queue.ask({.process = greedy});
    CHECK(queue.is_open(first));
    CHECK(queue.is_open(second));
    CHECK(queue.waits(third));
    const auto other = queue.ask({.process = modest}), fourth = queue.ask({.process = late}),
               fifth = queue.ask({.process = 4});
    CHECK(queue.is_open(other));
    CHECK(queue.is_open(fourth));
    CHECK(queue.waits(fifth));
    queue.answer(first); // the process that has had two open waits behind the one that has had none
    CHECK(queue.is_open(fifth));
    CHECK(queue.waits(third));
    queue.answer(second);
    CHECK(queue.is_open(third));
}

TEST_CASE("one question is open of all forwarded connections") {
    Waiting queue;
    const auto first = queue.ask({}), second = queue.ask({}), here = queue.ask({.process = modest});
    CHECK(queue.is_open(first));
    CHECK(queue.waits(second));
    CHECK(queue.is_open(here));
    queue.answer(first);
    CHECK(queue.is_open(second));
}

TEST_CASE("one question is open for a key, and one on the terminal") {
    Waiting queue;
    const auto key = queue.ask({.process = greedy, .key = "k"}),
               same = queue.ask({.process = modest, .key = "k"});
    CHECK(queue.is_open(key));
    CHECK(queue.waits(same));
    const auto shown = queue.ask({.process = late, .key = "l", .on_terminal = true}),
               next = queue.ask({.process = modest, .key = "m", .on_terminal = true});
    CHECK(queue.is_open(shown));
    CHECK(queue.waits(next));
    queue.wake("k"); // its PIN is known
    CHECK_FALSE(queue.waits(same));
    CHECK_FALSE(queue.is_open(same));
    CHECK(queue.waits(next));
}

TEST_CASE("processes that wait for one key take turns") {
    Waiting queue;
    const auto open = queue.ask({.process = greedy, .key = "k"});
    const auto behind = queue.ask({.process = greedy, .key = "k"});
    queue.ask({.process = greedy, .key = "k"});
    const auto other = queue.ask({.process = modest, .key = "k"});
    queue.answer(open);
    CHECK(queue.is_open(other));
    queue.answer(other);
    CHECK(queue.is_open(behind));
}

TEST_CASE("who has had a question open waits behind the others, and lets nobody pass who comes later") {
    Waiting queue;
    const auto forwarded = queue.ask({}), next = queue.ask({});
    const auto first = queue.ask({.process = greedy}), second = queue.ask({.process = greedy});
    const auto full = queue.ask({.process = 4}), other = queue.ask({.process = modest});
    REQUIRE(queue.is_open(full));
    REQUIRE(queue.waits(other));
    queue.answer(forwarded);
    CHECK(queue.is_open(other));
    CHECK(queue.waits(next));
    const auto newcomer = queue.ask({.process = late});
    queue.answer(full);
    CHECK(queue.is_open(next));
    CHECK(queue.waits(newcomer));
    queue.answer(first);
    CHECK(queue.is_open(newcomer));
    CHECK(queue.is_open(second));
}

TEST_CASE("a request that is cancelled while it waits leaves no place behind") {
    Waiting queue;
    const auto first = queue.ask({.process = greedy, .key = "k"}),
               gone = queue.ask({.process = modest, .key = "k"}),
               next = queue.ask({.process = late, .key = "k"});
    queue.cancel(gone);
    CHECK(queue.waits(gone));
    queue.answer(first);
    CHECK(queue.is_open(next));
}
