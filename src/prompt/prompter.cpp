// SPDX-License-Identifier: MIT
#include "prompt/prompter.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <exception>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/channel_error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

struct TerminalQueue {
    explicit TerminalQueue(const asio::any_io_executor& loop) : open(loop, 1) {}

    /// A channel used as a mutex: it holds a message while a question is on the terminal, and has no space
    /// for a second one.
    asio::experimental::channel<void(boost::system::error_code)> open;
};

namespace {

/// The permit to ask on the terminal; the destructor releases it.
class TerminalPermit {
  public:
    explicit TerminalPermit(std::shared_ptr<TerminalQueue> queue) : queue_(std::move(queue)) {}
    TerminalPermit(const TerminalPermit&) = delete;
    TerminalPermit& operator=(const TerminalPermit&) = delete;
    ~TerminalPermit() {
        queue_->open.try_receive([](const boost::system::error_code&) {}); // lets the next question start
    }

  private:
    std::shared_ptr<TerminalQueue> queue_;
};

Result result_of(TerminalAnswer outcome) {
    if (outcome.stopped_by)
        return Suspended{};
    if (auto* secret = std::get_if<Secret>(&outcome.answer))
        return std::move(*secret);
    return std::get<Unanswered>(outcome.answer);
}

Asker asker_now() {
    return choose_asker(current_circumstances(), Program::agent);
}

asio::awaitable<Result> ask_on_terminal(std::shared_ptr<TerminalQueue> queue, std::string question) {
    // A cancelled wait throws before there is a permit to release.
    co_await queue->open.async_send(boost::system::error_code(), asio::use_awaitable);
    const TerminalPermit permit(queue);
    // Chooses again after the wait.
    co_return result_of(co_await ask_once(std::move(question), asker_now(), Program::agent));
}

asio::awaitable<Result> ask(std::string question, Asker asker) {
    co_return result_of(co_await ask_once(std::move(question), asker, Program::agent));
}

/// Like OpenSSH's ask_permission, it uses only an askpass program, because any program can write to a
/// terminal.
asio::awaitable<Result> ask_permission(std::string question) {
    if (!askpass_allowed(current_circumstances())) {
        log::error("nobody can be asked to confirm: ", askpass_needs);
        co_return Confirmation::nobody;
    }
    co_return co_await confirm_askpass(askpass_program(), std::move(question));
}

/// @returns false, and logs the failure, if it is no cancellation
bool is_cancellation(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted ||
            error.code() == asio::experimental::error::channel_cancelled)
            return true;
        log::error("asking a person: ", error.code().message());
    } catch (const std::exception& error) { // no descriptors or no memory
        log::error("asking a person: ", printable(error.what()));
    }
    return false;
}

Result result_without_answer(Request::Kind kind, bool cancelled) {
    if (kind == Request::Kind::secret)
        return cancelled ? Unanswered::cancelled : Unanswered::failed;
    return cancelled ? Confirmation::unanswered : Confirmation::failed;
}

} // namespace

Prompter::Prompter(const asio::any_io_executor& loop, UniqueFd socket)
    : loop_(loop), socket_(loop, socket.release()), queue_(std::make_shared<TerminalQueue>(loop)) {
    wait();
}

Prompter::~Prompter() = default;

void Prompter::wait() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failure) {
        if (failure)
            return;
        try { // caught because the questions must be closed
            while (receive())
                ;
        } catch (const Error& error) {
            log::error("the agent's request: ", printable(error.what()));
            end();
        }
        if (!ended_)
            wait();
    });
}

/// @returns false if there is no request now @throws Error(malformed)
bool Prompter::receive() {
    std::array<std::uint8_t, max_request + 1> message{};
    const auto got = uninterrupted(
        [&] { return ::recv(socket_.native_handle(), message.data(), message.size(), MSG_DONTWAIT); });
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0) {
        end();
        return false;
    }
    take(parse_request(ByteView(message).first(static_cast<std::size_t>(got))));
    return !ended_;
}

void Prompter::take(Request request) {
    switch (request.kind) {
    case Request::Kind::secret:
    case Request::Kind::confirm:
        start(std::move(request));
        break;
    case Request::Kind::who:
        send(request.number, asker_now());
        break;
    case Request::Kind::suspend:
        suspend(request.number);
        break;
    case Request::Kind::cancel:
        if (const auto found = open_.find(request.number); found != open_.end()) // it may have just ended
            found->second->cancel.emit(asio::cancellation_type::terminal);
        break;
    }
}

void Prompter::start(Request request) {
    const auto number = request.number;
    const auto kind = request.kind;
    const auto open = std::make_shared<Question>();
    constexpr std::size_t most_open = 16; // more than the agent asks at a time
    if (open_.size() >= most_open || !open_.emplace(number, open).second)
        malformed("too many questions, or a number that is in use");
    const auto asker = asker_now();
    open->on_terminal = kind == Request::Kind::secret && asker == Asker::terminal;
    auto question = kind == Request::Kind::confirm ? ask_permission(std::move(request.question))
                    : open->on_terminal            ? ask_on_terminal(queue_, std::move(request.question))
                                                   : ask(std::move(request.question), asker);
    // The coroutine refers to the signal until it is gone.
    const auto ended = [this, number, kind, open](const std::exception_ptr& failure, Result result) {
        if (failure)
            result = result_without_answer(kind, is_cancellation(failure));
        asio::post(loop_, [this, number, open, result = std::move(result)]() mutable {
            finish(number, std::move(result));
        });
    };
    asio::co_spawn(loop_, std::move(question), asio::bind_cancellation_slot(open->cancel.slot(), ended));
}

void Prompter::suspend(std::uint32_t number) {
    suspends_.push_back(number);
    for (auto& [unused, question] : open_) {
        if (!question->on_terminal)
            continue;
        question->suspended = true;
        question->cancel.emit(asio::cancellation_type::terminal);
    }
    finish_suspends();
}

void Prompter::finish(std::uint32_t number, Result result) {
    const auto found = open_.find(number);
    if (found->second->suspended && !std::holds_alternative<Secret>(result))
        result = Suspended{};
    open_.erase(found);
    send(number, std::move(result));
    finish_suspends();
}

void Prompter::finish_suspends() {
    if (std::ranges::any_of(open_, [](const auto& entry) { return entry.second->suspended; }))
        return;
    for (const auto number : std::exchange(suspends_, {}))
        send(number, Suspended{});
}

void Prompter::send(std::uint32_t number, Result result) {
    if (ended_)
        return;
    const auto message = message_of(Reply{.number = number, .result = std::move(result)});
    if (uninterrupted([&] {
            return ::send(socket_.native_handle(), message.view().data(), message.size(), MSG_NOSIGNAL);
        }) < 0)
        end();
}

void Prompter::end() {
    ended_ = true;
    socket_.close();
    for (auto& [unused, question] : open_)
        question->cancel.emit(asio::cancellation_type::terminal);
}

void serve_questions(UniqueFd socket) {
    asio::io_context loop(1);
    const Prompter prompter(loop.get_executor(), std::move(socket));
    loop.run();
}

} // namespace sshtpm::prompt
