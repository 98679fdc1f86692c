// SPDX-License-Identifier: MIT
#include "prompt/prompter_client.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/unique_fd.hpp"
#include "prompt/message.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

using Kind = Request::Kind;
using Failure = boost::system::error_code;

bool is_result_of(Kind kind, const Result& result) {
    switch (kind) {
    case Kind::secret:
        return std::holds_alternative<Secret>(result) || std::holds_alternative<Unanswered>(result) ||
               std::holds_alternative<Suspended>(result);
    case Kind::confirm:
        return std::holds_alternative<Confirmation>(result);
    case Kind::who:
        return std::holds_alternative<Asker>(result);
    case Kind::suspend:
        return std::holds_alternative<Suspended>(result);
    case Kind::cancel:
        break;
    }
    return false;
}

} // namespace

/// The connection to the prompter.
class PrompterClient::Link : public std::enable_shared_from_this<Link> {
  public:
    Link(const asio::any_io_executor& loop, int socket)
        : loop_(loop), socket_(loop, duplicate(socket, "the prompter").release()), stops_(loop) {}

    /// @returns nothing if the prompter has ended @throws Error for a question that cannot be sent
    static asio::awaitable<std::optional<Result>> ask(std::shared_ptr<Link> link, Kind kind,
                                                      std::string question);
    void close();

  private:
    /// A request until its reply is there.
    struct Open {
        Open(const asio::any_io_executor& loop, Request wanted) : request(std::move(wanted)), replied(loop) {}

        Request request;
        asio::experimental::channel<void(Failure)> replied; ///< closed at the reply, or at the prompter's end
        std::optional<Result> result = {};                  ///< nothing at the prompter's end
        bool withdrawn = false;
        bool again = false; ///< sent again when this process continues
    };

    /// Withdraws a request that is cancelled.
    class Withdrawal {
      public:
        Withdrawal(Link& link, Open& open) : link_(link), open_(open) {}
        Withdrawal(const Withdrawal&) = delete;
        Withdrawal& operator=(const Withdrawal&) = delete;
        ~Withdrawal() { link_.withdraw(open_); }

      private:
        Link& link_;
        Open& open_;
    };

    std::shared_ptr<Open> send(Kind kind, std::string question);
    void withdraw(Open& open);
    void write(Bytes message);
    void flush();
    void read();
    void receive();
    void take(Reply reply);
    void end(std::string_view reason);

    void watch_stops();
    void wait_for_stop();
    void suspend(int signal);
    void stop_and_ask_again();

    asio::any_io_executor loop_;
    asio::posix::stream_descriptor socket_;
    std::map<std::uint32_t, std::shared_ptr<Open>> open_;
    std::uint32_t last_number_ = 0;
    std::deque<Bytes> unsent_;
    bool reading_ = false;
    bool ended_ = false;

    asio::signal_set stops_; ///< the signals that stop this process, while a question for a secret is open
    bool watching_ = false;
    std::optional<int> stopped_by_; ///< while the prompter ends its questions on the terminal
};

asio::awaitable<std::optional<Result>> PrompterClient::Link::ask(std::shared_ptr<Link> link, Kind kind,
                                                                 std::string question) {
    const auto open = link->send(kind, std::move(question));
    const Withdrawal withdrawal(*link, *open);
    Failure failure;
    co_await open->replied.async_receive(asio::redirect_error(asio::use_awaitable, failure));
    if (open->replied.is_open())
        throw boost::system::system_error(asio::error::operation_aborted);
    co_return std::move(open->result);
}

/// The reply closes `replied`.
std::shared_ptr<PrompterClient::Link::Open> PrompterClient::Link::send(Kind kind, std::string question) {
    auto open = std::make_shared<Open>(
        loop_, Request{.number = ++last_number_, .kind = kind, .question = std::move(question)});
    auto message = message_of(open->request);
    if (ended_) {
        open->replied.close();
        return open;
    }
    open_.emplace(open->request.number, open);
    watch_stops(); // before the prompter can show the question
    write(std::move(message));
    read();
    return open;
}

/// Takes a question back, unless it has its reply.
void PrompterClient::Link::withdraw(Open& open) {
    if (ended_ || !open.replied.is_open())
        return;
    open.withdrawn = true;
    if (std::exchange(open.again, false)) // the prompter does not have it now
        open_.erase(open.request.number);
    else
        write(message_of(Request{.number = open.request.number, .kind = Kind::cancel}));
    watch_stops();
}

void PrompterClient::Link::close() {
    if (std::exchange(ended_, true))
        return;
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
    socket_.close();
    for (auto& [unused, open] : std::exchange(open_, {}))
        open->replied.close();
    watch_stops();
}

void PrompterClient::Link::end(std::string_view reason) {
    if (ended_)
        return;
    log::error("the process that asks for PINs ", reason,
               "; nobody can be asked until the agent is restarted");
    close();
}

void PrompterClient::Link::write(Bytes message) {
    unsent_.push_back(std::move(message));
    if (unsent_.size() == 1)
        flush();
}

/// The socket is full only while the prompter is stopped.
void PrompterClient::Link::flush() {
    while (!unsent_.empty() && !ended_) {
        const auto& message = unsent_.front();
        const auto sent = uninterrupted([&] {
            return ::send(socket_.native_handle(), message.data(), message.size(),
                          MSG_NOSIGNAL | MSG_DONTWAIT);
        });
        if (sent < 0 && errno == EAGAIN) {
            socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                               [self = shared_from_this()](Failure failure) {
                                   if (!failure)
                                       self->flush();
                               });
            return;
        }
        if (sent < 0)
            return end("has ended");
        unsent_.pop_front();
    }
}

/// Waits for replies while there are requests, so that a loop without any can end. Takes one at a time: a
/// signal that came before the next reply is handled before it.
void PrompterClient::Link::read() {
    if (reading_ || open_.empty() || ended_)
        return;
    reading_ = true;
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](Failure failure) {
                           self->reading_ = false;
                           if (failure)
                               return;
                           try { // caught because the agent goes on without the prompter
                               self->receive();
                           } catch (const Error& error) {
                               self->end(std::string("sent a wrong reply (") + printable(error.what()) + ")");
                           }
                           self->read();
                       });
}

/// @throws Error(malformed)
void PrompterClient::Link::receive() {
    if (ended_)
        return;
    Secret message(max_reply + 1);
    const auto got = uninterrupted([&] {
        return ::recv(socket_.native_handle(), message.room().data(), message.room().size(), MSG_DONTWAIT);
    });
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        return end("has ended");
    message.grow(static_cast<std::size_t>(got));
    take(parse_reply(message.view()));
}

void PrompterClient::Link::take(Reply reply) {
    const auto found = open_.find(reply.number);
    if (found == open_.end() || !is_result_of(found->second->request.kind, reply.result) ||
        found->second->again)
        malformed("of no request");
    const auto open = found->second;
    if (open->request.kind == Kind::secret && !open->withdrawn &&
        std::holds_alternative<Suspended>(reply.result)) {
        open->again = true;
        if (!stopped_by_) // the foreground is lost, and a signal may be on its way
            suspend(SIGCONT);
        return;
    }
    open_.erase(found);
    if (open->request.kind == Kind::suspend)
        return stop_and_ask_again();
    if (!open->withdrawn)
        open->result = std::move(reply.result);
    open->replied.close();
    watch_stops();
}

/// Catches the signals that stop this process while they would leave the echo off.
void PrompterClient::Link::watch_stops() {
    const bool needed = std::ranges::any_of(open_, [](const auto& entry) {
        return entry.second->request.kind == Kind::secret && !entry.second->withdrawn;
    });
    if (needed == watching_)
        return;
    watching_ = needed;
    if (!needed) {
        stops_.cancel();
        stops_.clear();
        return;
    }
    for (const int number : {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT})
        stops_.add(number);
    wait_for_stop();
}

void PrompterClient::Link::wait_for_stop() {
    stops_.async_wait([self = shared_from_this()](Failure failure, int number) {
        if (failure || !self->watching_)
            return;
        self->suspend(number);
        self->wait_for_stop();
    });
}

/// Makes the prompter end its questions on the terminal. Then the signal takes effect.
void PrompterClient::Link::suspend(int signal) {
    const bool suspending = stopped_by_.has_value();
    if (!suspending || signal != SIGCONT)
        stopped_by_ = signal;
    if (!suspending)
        send(Kind::suspend, {});
}

void PrompterClient::Link::stop_and_ask_again() {
    const int number = std::exchange(stopped_by_, std::nullopt).value_or(SIGCONT);
    if (number != SIGCONT) {
        if (watching_) {
            stops_.cancel();
            stops_.clear();
            watching_ = false;
        }
        ::raise(number); // returns when the process continues, perhaps in the background
    }
    watch_stops();
    for (const auto& [unused, open] : std::map(open_)) // a copy: a failure to write ends all
        if (std::exchange(open->again, false))
            write(message_of(open->request));
}

PrompterClient::PrompterClient(const asio::any_io_executor& loop, int socket)
    : link_(std::make_shared<Link>(loop, socket)) {}

PrompterClient::~PrompterClient() {
    link_->close();
}

void PrompterClient::close() {
    link_->close();
}

asio::awaitable<Answer> PrompterClient::ask(std::string question) {
    auto result = co_await Link::ask(link_, Kind::secret, std::move(question));
    if (!result)
        co_return Unanswered::failed;
    if (auto* secret = std::get_if<Secret>(&*result))
        co_return std::move(*secret);
    co_return std::get<Unanswered>(*result);
}

asio::awaitable<Confirmation> PrompterClient::confirm(std::string question) {
    const auto result = co_await Link::ask(link_, Kind::confirm, std::move(question));
    co_return result ? std::get<Confirmation>(*result) : Confirmation::failed;
}

asio::awaitable<std::optional<Asker>> PrompterClient::who() {
    using namespace asio::experimental::awaitable_operators;
    constexpr std::chrono::seconds limit{1};
    asio::steady_timer timer(co_await asio::this_coro::executor, limit);
    const auto outcome = co_await (Link::ask(link_, Kind::who, {}) || timer.async_wait(asio::use_awaitable));
    const auto* const answered = std::get_if<0>(&outcome);
    co_return answered&&* answered ? std::optional(std::get<Asker>(**answered)) : std::nullopt;
}

} // namespace sshtpm::prompt
