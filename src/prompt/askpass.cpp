#include "prompt/askpass.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"
#include "prompt/answer.hpp"

#include <array>
#include <fcntl.h>
#include <memory>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

/// For Asio, which closes what it is given: the child keeps its own.
asio::posix::stream_descriptor watch(const asio::any_io_executor& loop, int fd) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw Error::from_errno(errno, "watching the askpass program");
    return {loop, copy};
}

/// Tells an askpass what kind of question it shows; without it, it asks for a secret.
constexpr const char* kind_variable = "SSH_ASKPASS_PROMPT";

std::unique_ptr<os::Child> start(const std::string& program, const std::string& prompt,
                                 const std::string& environment_change) {
    try {
        return std::make_unique<os::Child>(std::vector{program, prompt}, std::vector{environment_change});
    } catch (const Error& error) { // an askpass that cannot be run is an answer: no
        log::error("askpass: ", printable(error.what()));
        return nullptr;
    }
}

/// What the program has printed, when it exits with 0.
asio::awaitable<std::optional<Secret>> run(std::string program, std::string prompt,
                                           std::string environment_change) {
    const auto loop = co_await asio::this_coro::executor;
    const auto child = start(program, prompt, environment_change);
    if (!child)
        co_return std::nullopt;

    auto output = watch(loop, child->output());
    Secret answer(max_answer);
    std::array<std::uint8_t, 256> chunk{};
    for (;;) {
        boost::system::error_code failure;
        const auto got = co_await output.async_read_some(asio::buffer(chunk),
                                                         asio::redirect_error(asio::use_awaitable, failure));
        const bool fits = answer.append(ByteView(chunk).first(got));
        wipe(chunk);
        if (failure == asio::error::operation_aborted || !fits)
            co_return std::nullopt;
        if (failure)
            break; // end of its output
    }
    auto end = watch(loop, child->pidfd());
    co_await end.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (child->wait() != 0)
        co_return std::nullopt;
    co_return std::move(answer);
}

} // namespace

std::string askpass_program() {
    const auto program = os::variable("SSH_ASKPASS");
    return program && !program->empty() ? *program : "ssh-askpass";
}

asio::awaitable<std::optional<Secret>> ask_askpass(std::string program, std::string prompt) {
    auto output = co_await run(std::move(program), std::move(prompt), kind_variable);
    if (output)
        keep_first_line(*output);
    co_return std::move(output);
}

asio::awaitable<bool> confirm_askpass(std::string program, std::string question) {
    const auto output =
        co_await run(std::move(program), std::move(question), std::string(kind_variable) + "=confirm");
    co_return output.has_value() && is_permission(output->view());
}

} // namespace sshtpm::prompt
