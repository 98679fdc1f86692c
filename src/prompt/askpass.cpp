// SPDX-License-Identifier: MIT
#include "prompt/askpass.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"

#include <csignal>
#include <memory>
#include <strings.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

/// Watches a copy of the descriptor: Asio closes the copy, and the child owns the original.
asio::posix::stream_descriptor watch(const asio::any_io_executor& loop, int fd) {
    return {loop, duplicate(fd, "watching the askpass program").release()};
}

/// The kind of question; askpass programs ask for a secret if it is not set.
constexpr const char* kind_variable = "SSH_ASKPASS_PROMPT";

std::unique_ptr<os::Child> start(const std::string& program, const std::string& question,
                                 const std::string& environment_change, os::Child::Group group) {
    try {
        return std::make_unique<os::Child>(std::vector{program, question}, std::vector{environment_change},
                                           STDERR_FILENO, group);
    } catch (const Error& error) { // caught because the caller can go on without an answer
        log::error("askpass: ", printable(error.what()));
        return nullptr;
    }
}

/// @returns the reason if the exit status says that the program could not ask; else nothing. A shell script
///     has these statuses too if it cannot run the program.
std::optional<std::string> failure_of(int status) {
    constexpr int cannot_run = 126, not_found = 127, signals = 128; // POSIX, Shell Command Language, 2.8.2
    if (status == os::Child::lost_status)
        return "how it has ended cannot be known";
    if (status == cannot_run || status == not_found)
        return "it could not run a program (status " + std::to_string(status) + ")";
    if (status > signals && status < signals + NSIG)
        return "signal " + std::to_string(status - signals) + " ended it";
    return std::nullopt;
}

struct Outcome {
    std::optional<Secret> output = {}; ///< if the program exits with 0
    bool failed = false;               ///< the program could not ask
};

asio::awaitable<Outcome> run(std::string program, std::string question, std::string environment_change,
                             os::Child::Group group) {
    const auto loop = co_await asio::this_coro::executor;
    const auto child = start(program, question, environment_change, group);
    if (!child)
        co_return Outcome{.failed = true};

    auto output = watch(loop, child->output());
    Secret answer(max_answer + 1);
    for (;;) {
        boost::system::error_code failure;
        const auto got =
            co_await output.async_read_some(asio::buffer(answer.room().data(), answer.room().size()),
                                            asio::redirect_error(asio::use_awaitable, failure));
        answer.grow(got);
        if (failure == asio::error::operation_aborted)
            throw boost::system::system_error(failure);
        if (answer.size() > max_answer) {
            log::error("askpass: ", printable(program), ": its answer is longer than ", max_answer, " bytes");
            co_return Outcome{.failed = true};
        }
        if (failure)
            break; // the output has ended
    }
    auto end = watch(loop, child->pidfd());
    co_await end.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    const int status = child->wait();
    if (status == 0)
        co_return Outcome{.output = std::move(answer)};
    const auto failure = failure_of(status);
    if (failure)
        log::error("askpass: ", printable(program), ": ", *failure);
    else
        log::debug("askpass: ended with status ", status);
    co_return Outcome{.failed = failure.has_value()};
}

} // namespace

std::string_view in_words(Unanswered reason) {
    switch (reason) {
    case Unanswered::cancelled:
        break;
    case Unanswered::empty:
        return "the answer was empty";
    case Unanswered::nobody:
        return "nobody could be asked";
    case Unanswered::failed:
        return "the question could not be asked";
    case Unanswered::late:
        return "nobody answered in time";
    }
    return "the question was cancelled";
}

std::string_view in_words(Confirmation outcome) {
    switch (outcome) {
    case Confirmation::unanswered:
        break;
    case Confirmation::no:
        return "a person did not allow";
    case Confirmation::yes:
        return "a person allowed";
    case Confirmation::nobody:
        return "nobody is there to allow";
    case Confirmation::failed:
        return "the askpass program could not ask about";
    }
    return "no answer came about";
}

bool is_permission(ByteView output) {
    auto line = text_of(output);
    if (line.ends_with('\n'))
        line.remove_suffix(1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    constexpr std::string_view yes = "yes";
    return line.empty() || (line.size() == yes.size() && ::strncasecmp(line.data(), yes.data(), 3) == 0);
}

std::string askpass_program() {
    const auto program = os::variable("SSH_ASKPASS");
    return program && !program->empty() ? *program : "ssh-askpass";
}

asio::awaitable<Answer> ask_askpass(std::string program, std::string question, os::Child::Group group) {
    auto outcome = co_await run(std::move(program), std::move(question), kind_variable, group);
    if (!outcome.output)
        co_return outcome.failed ? Unanswered::failed : Unanswered::cancelled;
    keep_first_line(*outcome.output);
    co_return std::move(*outcome.output);
}

asio::awaitable<Confirmation> confirm_askpass(std::string program, std::string question) {
    const auto outcome = co_await run(std::move(program), std::move(question),
                                      std::string(kind_variable) + "=confirm", os::Child::Group::own);
    if (outcome.failed)
        co_return Confirmation::failed;
    if (outcome.output && is_permission(outcome.output->view()))
        co_return Confirmation::yes;
    co_return Confirmation::no;
}

} // namespace sshtpm::prompt
