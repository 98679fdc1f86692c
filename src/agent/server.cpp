// SPDX-License-Identifier: MIT
#include "agent/server.hpp"

#include "agent/confinement.hpp"
#include "agent/connection.hpp"
#include "agent/systemd.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "identity/hierarchy.hpp"
#include "os/folder_watch.hpp"
#include "os/harden.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <list>

namespace sshtpm::agent {

namespace {

bool is_cancellation(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const SystemError& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

/// The coroutines of the loop. They are cancelled before the server ends, so that none outlives the objects
/// that it uses.
class Tasks {
  public:
    explicit Tasks(asio::io_context& loop) : loop_(loop) {}

    /// An exception that the task does not catch ends the loop.
    void spawn(asio::awaitable<void> task) {
        if (cancelled_) // a client that was accepted just before the end
            return;
        const auto signal = signals_.emplace(signals_.end());
        const auto ended = [this, signal](const std::exception_ptr& failure) {
            asio::post(loop_, [this, signal] { forget(signal); }); // the coroutine still refers to it
            if (!failure || cancelled_ || is_cancellation(failure))
                return;
            failure_ = failure;
            loop_.stop();
        };
        asio::co_spawn(loop_, std::move(task), asio::bind_cancellation_slot(signal->slot(), ended));
    }
    /// Stops the loop, unless the tasks are cancelled: then it runs until the last task, which uses the
    /// server, has ended.
    void stop() {
        if (!cancelled_)
            loop_.stop();
    }
    void cancel() {
        cancelled_ = true;
        for (auto& signal : signals_)
            signal.emit(asio::cancellation_type::terminal);
    }
    void rethrow_failure() const {
        if (failure_)
            std::rethrow_exception(failure_);
    }

  private:
    using Signals = std::list<asio::cancellation_signal>;

    void forget(Signals::iterator signal) {
        if (!cancelled_) // else a cancellation that was emitted still refers to it
            signals_.erase(signal);
    }

    asio::io_context& loop_;
    Signals signals_;
    bool cancelled_ = false;
    std::exception_ptr failure_;
};

/// Waits for a descriptor that another object owns, which outlives this one.
class BorrowedDescriptor {
  public:
    BorrowedDescriptor(asio::io_context& loop, int fd) : descriptor_(loop, fd) {}
    BorrowedDescriptor(const BorrowedDescriptor&) = delete;
    BorrowedDescriptor& operator=(const BorrowedDescriptor&) = delete;
    ~BorrowedDescriptor() { descriptor_.release(); } // or Asio would close it

    asio::awaitable<void> wait_until_readable() {
        co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
    }

  private:
    asio::posix::stream_descriptor descriptor_;
};

constexpr std::string_view descriptors = "the agent's descriptors";

std::vector<std::shared_ptr<Upstream>> make_upstreams(asio::io_context& loop, const ServerOptions& options) {
    std::vector<std::shared_ptr<Upstream>> out;
    for (const auto& path : options.upstreams)
        out.push_back(std::make_shared<Upstream>(loop.get_executor(), path));
    return out;
}

/// One permit for each free descriptor, except for a few that the agent needs itself: for the TPM and for
/// key files. With upstream agents, each client may need one more descriptor for each of them.
Semaphore client_permits(asio::io_context& loop, std::size_t upstreams) {
    constexpr std::size_t own = 4;
    const auto free = os::free_descriptors();
    return {loop.get_executor(), free > own + upstreams ? (free - own) / (1 + upstreams) : 1};
}

/// @returns null, and logs it, if the system has no more watches. Then only SIGHUP makes the agent read the
///     folder again.
std::unique_ptr<os::FolderWatch> watch(const std::filesystem::path& folder) {
    if (folder.empty())
        return nullptr;
    try {
        return std::make_unique<os::FolderWatch>(folder);
    } catch (const Error& error) {
        log::error(printable(error.what()), "; changes in ", printable(folder.string()),
                   " are seen only after SIGHUP");
        return nullptr;
    }
}

/// Opens the terminal with which this process ends. Empty if it has none, as under systemd and in the
/// background, or if nohup(1) makes it ignore SIGHUP.
UniqueFd terminal_to_end_with() {
    if (os::was_ignored_at_start(SIGHUP))
        return {};
    return UniqueFd(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
}

/// Returns when the timer has expired, also if its time is changed.
asio::awaitable<void> wait_for(asio::steady_timer& timer) {
    ErrorCode ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

class Server {
  public:
    Server(ListeningSocket& socket, const ServerOptions& options, UniqueFd terminal, std::string sandbox,
           const std::function<void()>& ready);

    void run();

  private:
    using Descriptor = asio::posix::stream_descriptor;
    enum class Phase { starting, serving, finishing };
    using Time = asio::steady_timer::time_point;
    static constexpr Time past{}, never = Time::max(); ///< for timers that an event ends

    asio::awaitable<void> start();
    asio::awaitable<void> serve_clients();
    asio::awaitable<void> serve_client(Socket client, os::Peer peer, Permit permit);
    asio::awaitable<void> follow_tpm();
    asio::awaitable<void> follow_signals();
    asio::awaitable<void> follow_folder();
    asio::awaitable<void> expire_keys();
    asio::awaitable<void> stop_at(UniqueFd fd, Descriptor::wait_type event, std::string_view reason);
    asio::awaitable<void> make_hierarchy_keys();
    void add_hierarchy_keys();
    void end();

    // A member uses the members above it, so their order matters.
    ListeningSocket& socket_;
    const ServerOptions& options_;
    const std::function<void()>& ready_;
    asio::io_context loop_{1};
    UniqueFd terminal_;
    asio::signal_set signals_{loop_, SIGTERM, SIGHUP, SIGUSR1};
    Phase phase_ = Phase::starting;
    asio::steady_timer finish_{loop_, never}; ///< while serving: until SIGTERM; then until the agent ends
    std::size_t clients_ = 0;                 ///< connections that were accepted and are open
    asio::steady_timer look_for_tpm_{loop_};  ///< the next time
    TpmThread tpm_;
    prompt::PrompterClient prompter_;
    std::unique_ptr<os::FolderWatch> watch_; // before the folder is read, so that no change is missed
    KeyStore keys_;
    KeyFolder folder_;
    std::vector<KeyEntry> hierarchy_keys_;
    Announcer announcer_;
    std::vector<std::shared_ptr<Upstream>> upstreams_;
    Dispatcher dispatcher_;
    Tasks tasks_{loop_};
};

Server::Server(ListeningSocket& socket, const ServerOptions& options, UniqueFd terminal, std::string sandbox,
               const std::function<void()>& ready)
    : socket_(socket), options_(options), ready_(ready), terminal_(std::move(terminal)),
      tpm_(loop_.get_executor(), options.target, options.owner_password,
           [this] { look_for_tpm_.expires_at(past); }),
      prompter_(loop_.get_executor(), options.prompter), watch_(watch(options.key_dir)),
      keys_(options.pin_lifetime), folder_(keys_, options.key_dir, options.key_dir_terms),
      announcer_(loop_.get_executor(), options.notifier, keys_), upstreams_(make_upstreams(loop_, options)),
      dispatcher_(loop_.get_executor(), keys_, folder_, tpm_, prompter_, options.policy, upstreams_) {
    dispatcher_.tell_sandbox(std::move(sandbox));
    signals_.add(SIGALRM); // without a handler, it would end the agent while the terminal's echo is off
    for (const int number : {SIGINT, SIGQUIT})
        if (!os::was_ignored_at_start(number)) // a shell without job control ignores both for "&"
            signals_.add(number);
}

void Server::run() {
    folder_.scan();
    tasks_.spawn(follow_signals());
    tasks_.spawn(expire_keys());
    tasks_.spawn(announcer_.feed_watchdog());
    for (const auto& upstream : upstreams_)
        tasks_.spawn(probe(upstream));
    // After a hang-up nobody can be asked, and the shell that used the agent is gone. SIGHUP does not show
    // this: a shell that ends sends none to its background jobs, and a person sends it to make the agent read
    // the key folder.
    if (terminal_)
        tasks_.spawn(stop_at(std::move(terminal_), Descriptor::wait_error, "the terminal has hung up"));
    if (watch_)
        tasks_.spawn(follow_folder());
    if (options_.until >= 0)
        tasks_.spawn(
            stop_at(duplicate(options_.until, descriptors), Descriptor::wait_read, "the command has ended"));
    tasks_.spawn(start()); // after the tasks above have begun
    loop_.run();
    end();
    tasks_.rethrow_failure();
}

asio::awaitable<void> Server::start() {
    if (options_.hierarchy) {
        log::info("making the keys of the ", options_.hierarchy->name, " hierarchy");
        if (options_.hierarchy->handle == TPM2_RH_NULL)
            log::warning("the null hierarchy's keys change at every reset of the TPM, and so at every boot");
    }
    if (options_.needs_tpm) {
        co_await tpm_.ensure_open();
        co_await make_hierarchy_keys();
    }
    if (!options_.hierarchy)
        tasks_.spawn(serve_clients());
    log::info("listening on ", printable(socket_.path().string()));
    ready_();
    announcer_.ready();
    co_await follow_tpm();
}

/// Accepts and serves clients until SIGTERM. Then those that are connected are served for a while.
asio::awaitable<void> Server::serve_clients() {
    const auto serve_accepted = [this](Socket client, os::Peer peer, Permit permit) {
        ++clients_;
        tasks_.spawn(serve_client(std::move(client), peer, std::move(permit)));
    };
    auto accepting = accept_clients(duplicate(socket_.fd(), descriptors),
                                    client_permits(loop_, options_.upstreams.size()), serve_accepted);
    phase_ = Phase::serving;
    if (socket_.has_own_file()) { // no client can connect without the file; those in the queue are accepted
        tasks_.spawn(std::move(accepting));
        co_await wait_for(finish_);
        socket_.remove();
    } else { // the next agent accepts those in the queue
        auto [order, failure, unused] =
            co_await asio::experimental::make_parallel_group(
                asio::co_spawn(loop_, std::move(accepting), asio::deferred),
                asio::co_spawn(loop_, wait_for(finish_), asio::deferred))
                .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
        if (failure && phase_ == Phase::serving)
            std::rethrow_exception(failure);
    }
    if (clients_ > 0) {
        finish_.expires_after(time_limits().finish);
        co_await wait_for(finish_);
    }
    tasks_.stop();
}

asio::awaitable<void> Server::serve_client(Socket client, os::Peer peer, Permit permit) {
    co_await serve(std::move(client), peer, std::move(permit), dispatcher_);
    if (--clients_ == 0 && phase_ == Phase::finishing)
        finish_.expires_at(past);
}

/// Looks for the TPM while it is away, and reports when it goes and comes. Makes the hierarchy's keys when it
/// is there; clients wait for the first attempt, so that their first list has these keys.
asio::awaitable<void> Server::follow_tpm() {
    for (std::string tpm_error;;) {
        look_for_tpm_.expires_at(never); // before the attempt, so that no later change is missed
        std::string before = std::move(tpm_error);
        tpm_error.clear();
        try { // caught because the TPM may come back
            co_await tpm_.require_present();
            co_await make_hierarchy_keys();
            if (!before.empty())
                log::info("the TPM is there again");
        } catch (const Error& error) {
            tpm_error = error.what();
            // The TPM appeared after the service started, and systemd's device policy denies it. Only a new
            // start applies the policy again. At the first attempt this would restart for ever, so there it
            // is only reported.
            if (error.code() == Errc::refused && !before.empty() && before != tpm_error)
                throw;
            if (before != tpm_error)
                log::report(error, "; trying again");
            look_for_tpm_.expires_after(time_limits().tpm_retry);
        }
        announcer_.set_tpm_error(tpm_error);
        if (phase_ == Phase::starting && options_.hierarchy)
            tasks_.spawn(serve_clients());
        co_await wait_for(look_for_tpm_);
    }
}

asio::awaitable<void> Server::follow_signals() {
    for (;;) {
        const int number = co_await signals_.async_wait(asio::use_awaitable);
        if (number == SIGHUP) {
            log::info("SIGHUP: reading the key folder again");
            folder_.reload();
            add_hierarchy_keys();
        } else if (number == SIGTERM && phase_ == Phase::serving) {
            log::info("ending on signal ", number, " when the open connections are served");
            phase_ = Phase::finishing;
            finish_.expires_at(past);
        } else if (number == SIGUSR1) {
            log::info("SIGUSR1: dropping all keys and PINs");
            keys_.clear();
        } else {
            log::info("ending on signal ", number);
            tasks_.stop();
            co_return;
        }
    }
}

asio::awaitable<void> Server::follow_folder() {
    BorrowedDescriptor events(loop_, watch_->fd());
    for (;;) {
        co_await events.wait_until_readable();
        try { // caught because the agent goes on without it
            if (watch_->drain())
                folder_.scan();
        } catch (const Error& error) {
            log::error(printable(error.what()), "; the key folder is no longer watched");
            co_return;
        }
    }
}

asio::awaitable<void> Server::expire_keys() {
    BorrowedDescriptor timer(loop_, keys_.timer());
    for (;;) {
        co_await timer.wait_until_readable();
        keys_.expire();
    }
}

asio::awaitable<void> Server::stop_at(UniqueFd fd, Descriptor::wait_type event, std::string_view reason) {
    Descriptor descriptor(loop_, fd.release());
    co_await descriptor.async_wait(event, asio::use_awaitable);
    log::info(reason, "; ending");
    tasks_.stop();
}

/// Makes the keys of the hierarchy, unless they are made. This takes a chip up to a minute. They do not stay
/// loaded in the TPM.
asio::awaitable<void> Server::make_hierarchy_keys() {
    if (!options_.hierarchy || !hierarchy_keys_.empty())
        co_return;
    const auto& hierarchy = *options_.hierarchy;
    auto job = [hierarchy](tpm::Tpm& tpm) { return identity::hierarchy_identities(tpm, hierarchy); };
    auto identities = co_await tpm_.run(std::move(job));
    for (auto& identity : identities)
        hierarchy_keys_.push_back(
            {.identity = std::make_shared<const identity::Identity>(std::move(identity)),
             .origin = KeyEntry::Origin::hierarchy,
             .constraints = options_.key_dir_terms});
    add_hierarchy_keys();
}

/// Adds the hierarchy's keys that are not in the store, also those that a client has removed.
void Server::add_hierarchy_keys() {
    for (auto key : hierarchy_keys_) {
        if (keys_.find_entry(key.blob()))
            continue;
        key.dies = end_from_now(key.constraints);
        keys_.add(std::move(key));
    }
}

/// Cancels all tasks, which withdraws the questions to a person, and closes the TPM. A TPM that hangs is not
/// closed: its thread cannot be ended, so the process exits here.
void Server::end() {
    options_.notifier.stopping();
    // A second signal ends the process at once. Not SIGHUP, because both a shell that ends and the kernel may
    // send it.
    for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGALRM})
        signals_.remove(number);
    const auto deadline = std::chrono::steady_clock::now() + time_limits().end;
    keys_.end_uses(); // clients get no more replies
    tasks_.cancel();
    prompter_.close();
    loop_.restart();
    loop_.run_until(deadline);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (loop_.stopped() && tpm_.end_within(std::max(left, std::chrono::milliseconds(0))))
        return;
    log::error("the TPM does not answer; ending without it");
    socket_.remove();
    std::_Exit(0);
}

} // namespace

void run_server(ListeningSocket& socket, ServerOptions options, const std::function<void()>& ready) {
    // Opened before the sandbox forbids it, and before SIGHUP is caught: until then a hang-up ends the
    // process by its signal.
    auto terminal = terminal_to_end_with();
    const Confinement confinement(options.target, options.key_dir, options.upstreams, socket,
                                  options.sandbox);
    Server(socket, options, std::move(terminal), confinement.in_force(), ready).run();
}

} // namespace sshtpm::agent
