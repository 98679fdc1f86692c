// SPDX-License-Identifier: MIT
// attest serve: tells a client which boot this is, and that the host keys are in the same TPM.

#include "applets/attest.hpp"
#include "applets/keygen_files.hpp"
#include "applets/openssh_link.hpp"
#include "applets/tpm_options.hpp"
#include "attest/answer.hpp"
#include "attest/evidence.hpp"
#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/time_limits.hpp"
#include "cli/report.hpp"
#include "identity/hierarchy.hpp"
#include "os/environment.hpp"
#include "os/sandbox.hpp"
#include "os/signals.hpp"
#include "os/systemd.hpp"
#include "os/unix_socket.hpp"
#include "tpm/attestation.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr std::string_view serve_usage =
    "usage: ssh-tpm-attest serve [--key-dir dir | --hierarchy hierarchy] [--event-log file]\n"
    "       ssh-tpm-attest serve --socket path";

constexpr std::string_view serve_about =
    "Answers the question of \"ssh-tpm-attest check\": the TPM's quote of the PCRs, and its statement that "
    "the host keys are in it. The question comes on standard input, or from each client of a socket of "
    "systemd. "
    "sshd's subsystem is the second form, which passes the question to that service.";

constexpr std::size_t most_clients = 64;
constexpr int longest_queue = 4096;                         ///< of a listening socket, by systemd
constexpr std::size_t longest_log = attest::max_answer / 2; ///< bytes; base64 makes it a third longer

struct ServeOptions {
    fs::path key_dir = "/etc/ssh";
    std::optional<tpm::Hierarchy> hierarchy;
    std::optional<std::string> event_log;
    std::optional<std::string> socket;
    TpmOptions tpm;

    /// The TPM that is known by a file beside the keys, if the environment names no other file.
    fs::path folder_of_known_tpms() const {
        return os::has_variable("SSH_TPM_KNOWN_TPMS") ? fs::path() : key_dir;
    }
};

/// Reads the bytes that are there. @returns false if there will be no more of them
bool receive(int descriptor, std::string& text) {
    std::array<char, 4096> piece{};
    const auto count = uninterrupted([&] { return ::read(descriptor, piece.data(), piece.size()); });
    if (count < 0 && errno == EAGAIN)
        return true;
    if (count < 0)
        throw Error::from_errno(errno, "the other side");
    text.append(piece.data(), static_cast<std::size_t>(count));
    return count > 0;
}

/// Reads a question as far as it has come. @returns whether it is whole
bool read_question(int descriptor, std::string& question) {
    const bool more = receive(descriptor, question);
    if (question.size() > attest::max_question)
        malformed("the question is too long");
    if (!more && question.empty())
        malformed("there is no question");
    return !more || question.ends_with('\n');
}

[[noreturn]] void refuse_slow_client() {
    throw Error(Errc::io, "the client has sent no question in time");
}

std::string question_before(int descriptor, Deadline deadline) {
    std::string question;
    do
        if (!is_ready_before(deadline, descriptor))
            refuse_slow_client();
    while (!read_question(descriptor, question));
    return question;
}

void write_before(int descriptor, std::string_view text, Deadline deadline) {
    while (!text.empty()) {
        if (!is_ready_before(deadline, descriptor, POLLOUT))
            throw Error(Errc::io, "the other side does not read");
        const auto count = uninterrupted([&] { return ::write(descriptor, text.data(), text.size()); });
        if (count < 0 && errno != EAGAIN)
            throw Error::from_errno(errno, "the other side");
        text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
}

/// The event log of this boot; empty if it cannot be read, because the proof does not need it.
Bytes read_event_log(const ServeOptions& options) {
    try { // caught to answer without it
        return options.event_log ? read_file(*options.event_log, longest_log, FileKind::any) : Bytes();
    } catch (const Error& error) {
        cli::warn("ssh-tpm-attest", error);
        return {};
    }
}

/// True for a key of which the TPM's statement will be accepted.
bool can_be_attested(const identity::Identity& key) {
    try { // caught because the answer is about the other keys then
        attest::require_born_here(key.key->public_area);
        if (!key.needs_pin())
            return true;
        log::info(key.name() + " is left out: it has a PIN");
    } catch (const Error& error) {
        log::info(key.name() + " is left out: " + error.what());
    }
    return false;
}

std::vector<identity::Identity> keys_in(const fs::path& folder) {
    std::vector<identity::Identity> keys;
    for (const auto& type : identity::host_key_types) {
        const auto file = host_key_paths(folder, type).key;
        try { // caught because systemd puts an empty file in the place of a missing key
            if (is_there(file))
                keys.push_back(identity::load_identity(file));
        } catch (const Error& error) {
            log::info(error.what());
        }
    }
    return keys;
}

/// The host keys that the answer is about, by their files or their hierarchy.
std::vector<identity::Identity> host_keys(tpm::Tpm& tpm, const ServeOptions& options) {
    auto job = [&](tpm::Tpm& opened) { return identity::hierarchy_identities(opened, *options.hierarchy); };
    auto keys = options.hierarchy ? tpm.run(job) : keys_in(options.key_dir);
    std::erase_if(keys, [](const auto& key) { return !can_be_attested(key); });
    if (keys.empty())
        throw Error(Errc::not_found, "no host keys of the TPM are in " + options.key_dir.string(),
                    "`ssh-tpm keygen -A` makes them; --hierarchy takes those of a hierarchy");
    return keys;
}

/// A quote, and the values that it is about: a PCR may be extended between the two commands.
void quote_pcrs(tpm::Tpm& tpm, const tpm::Handle& ak, const TPML_PCR_SELECTION& selection,
                const attest::Digest& data, attest::Answer& answer) {
    constexpr int most = 3;
    for (int i = 0; i < most; ++i) {
        answer.pcrs = tpm::read_pcrs(tpm, selection);
        auto quoted = tpm::quote(tpm, ak, selection, data);
        answer.quote = std::move(quoted.attest);
        answer.signature = quoted.signature;
        if (tpm::read_pcrs(tpm, selection) == answer.pcrs)
            return;
    }
    throw Error(Errc::tpm, "the PCRs change all the time");
}

attest::Answer answer_to(const attest::Question& question, const ServeOptions& options, ByteView event_log) {
    const os::BlockedSignals until_flushed(
        os::ending_signals()); // a TPM without a resource manager would keep keys
    const auto tpm = options.tpm.open_tpm(options.folder_of_known_tpms());
    const auto keys = host_keys(*tpm, options);
    attest::Answer answer{
        .ak = {}, .quote = {}, .signature = {}, .pcrs = {}, .keys = {}, .event_log = copy_of(event_log)};
    auto job = [&](tpm::Tpm& opened) {
        const auto ak = tpm::load_attestation_key(opened);
        answer.ak = tpm::read_public(opened.context(), ak.tr());
        answer.keys.clear();
        for (const auto& key : keys) {
            const auto data = attest::key_data(question.nonce, key.public_key.blob());
            auto certified = certify_key(opened, key, nullptr, ak, data);
            if (!certified)
                throw Error(Errc::auth, key.name() + ": a host key with a PIN");
            answer.keys.push_back(std::move(*certified));
        }
        quote_pcrs(opened, ak, question.pcrs.to_tpm(), attest::quote_data(question.nonce, answer.keys),
                   answer);
    };
    tpm->run(job);
    return answer;
}

/// The clients of a listening socket. Users take turns, and one who has too many loses the newest.
class Service {
  public:
    Service(const UniqueFd& listener, const ServeOptions& options, ByteView event_log)
        : listener_(listener), options_(options), event_log_(event_log) {}

    /// Serves until no client comes for a while: systemd starts the service again.
    void run() {
        auto end = SteadyClock::now() + time_limits().attest_idle;
        while (!clients_.empty() || SteadyClock::now() < end) {
            wait(end);
            if (SteadyClock::now() >= end_of_rest_)
                serve_next();
            if (!clients_.empty())
                end = SteadyClock::now() + time_limits().attest_idle;
        }
    }

  private:
    struct Client {
        UniqueFd socket;
        uid_t user;
        Deadline deadline; ///< for its question
        std::string question = {};
        bool has_asked = false;
    };

    /// Waits for a client, or for questions; not beyond the rest, if a question is there.
    void wait(Deadline end) {
        if (!clients_.empty())
            end = Deadline::max();
        for (const auto& client : clients_)
            end = std::min(end, client.has_asked ? end_of_rest_ : client.deadline);
        std::vector<pollfd> waiting{{.fd = listener_.value(), .events = POLLIN, .revents = 0}};
        for (const auto& client : clients_)
            waiting.push_back(
                {.fd = client.has_asked ? -1 : client.socket.value(), .events = POLLIN, .revents = 0});
        if (uninterrupted([&] { return ::poll(waiting.data(), waiting.size(), milliseconds_until(end)); }) <
            0)
            throw Error::from_errno(errno, "poll");
        auto state = waiting.begin();
        const bool comes = state->revents != 0;
        std::erase_if(clients_, [&](Client& client) { return !is_kept(client, (++state)->revents != 0); });
        // All that wait, because others stand behind one user's; but there is an end to it.
        for (int i = 0; comes && i < longest_queue && is_ready_before(SteadyClock::now(), listener_.value());
             ++i)
            accept();
    }

    void accept() {
        UniqueFd client(::accept4(listener_.value(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client)
            return;
        const auto user = os::peer_of(client.value()).uid;
        clients_.push_back({.socket = std::move(client),
                            .user = user,
                            .deadline = SteadyClock::now() + time_limits().attest_question});
        if (clients_.size() <= most_clients)
            return;
        const auto newest_of_most =
            std::ranges::max_element(clients_.rbegin(), clients_.rend(), {}, [&](const Client& each) {
                return std::ranges::count(clients_, each.user, &Client::user);
            });
        if (std::exchange(crowding_, newest_of_most->user) != newest_of_most->user)
            log::info("user " + std::to_string(newest_of_most->user) + " has too many clients");
        clients_.erase(std::next(newest_of_most).base());
    }

    /// Reads the client's question. @returns false if there will be none
    static bool is_kept(Client& client, bool has_sent) {
        try { // caught to serve the next client
            const bool is_late = !client.has_asked && SteadyClock::now() >= client.deadline;
            if (has_sent || is_late) // perhaps late because others were served
                client.has_asked = read_question(client.socket.value(), client.question);
            if (is_late && !client.has_asked)
                refuse_slow_client();
            return true;
        } catch (const Error& error) {
            if (!client.question.empty())
                cli::warn("ssh-tpm-attest", error);
            return false;
        }
    }

    /// Answers the first client of the user who was not served for the longest time.
    void serve_next() {
        const auto next = std::ranges::min_element(clients_, {}, [&](const Client& client) {
            return std::pair(!client.has_asked, turns_[client.user]);
        });
        if (next == clients_.end() || !next->has_asked)
            return;
        turns_[next->user] = ++turn_;
        const auto client = std::move(*next);
        clients_.erase(next);
        try { // caught to serve the next client
            serve(client);
        } catch (const Error& error) {
            cli::warn("ssh-tpm-attest", error);
        }
    }

    /// After an answer comes a rest as long as that took: clients leave half of the TPM's time to others.
    void serve(const Client& client) {
        const auto begin = SteadyClock::now();
        const auto answer = answer_to(attest::Question::parse(client.question), options_, event_log_).text();
        end_of_rest_ = SteadyClock::now() + (SteadyClock::now() - begin);
        write_before(client.socket.value(), answer, SteadyClock::now() + time_limits().attest_question);
    }

    const UniqueFd& listener_;
    const ServeOptions& options_;
    ByteView event_log_;
    std::vector<Client> clients_;          ///< the oldest first
    std::map<uid_t, std::uint64_t> turns_; ///< when a user was last served
    std::uint64_t turn_ = 0;
    Deadline end_of_rest_; ///< no answer before this
    uid_t crowding_ = 0;   ///< of whom the log has told
};

/// Passes the question on standard input to the service, and its answer to standard output.
int relay(const std::string& socket) {
    const auto end = SteadyClock::now() + time_limits().attest_answer;
    const auto question = question_before(STDIN_FILENO, end);
    UniqueFd service;
    while (!(service = os::connect_to(socket)) && errno == EAGAIN && SteadyClock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(3)); // its queue is full
    if (!service)
        throw Error(Errc::not_found, socket + ": the attestation service does not answer",
                    "`systemctl enable --now ssh-tpm-attest.socket`, as root");
    write_before(service.value(), question, end);
    std::string answer;
    do
        if (!is_ready_before(end, service.value()) || answer.size() > attest::max_answer)
            throw Error(Errc::io, "the attestation service gives no answer in time");
    while (receive(service.value(), answer));
    if (answer.empty())
        throw Error(Errc::io, "the attestation service gives no answer", "its journal tells why");
    write_before(STDOUT_FILENO, answer, end);
    return 0;
}

/// Nothing but the key files and the TPM.
void confine(const ServeOptions& options) {
    const auto target = options.tpm.target(options.folder_of_known_tpms());
    const auto needs = tpm::needs_of(target.tcti);
    os::give_up_new_privileges();
    if (needs.libraries || needs.network || !target.emulator_state.empty())
        return;
    os::enter_sandbox(
        {.readable = {options.key_dir, "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", target.known_tpms},
         .writable = {tpm::device_path(target.tcti), "/dev/null"},
         .sockets = needs.sockets});
}

} // namespace

int attest_serve(Call& call) {
    ServeOptions o;
    std::vector<cli::Option> table{
        {"--key-dir DIR", cli::every_mode, "the folder of the host keys (default: /etc/ssh)",
         cli::set(o.key_dir)},
        {"--hierarchy H", cli::every_mode,
         "the host keys of the endorsement, owner, platform or null hierarchy (e, o, p, n)",
         [&o](char* word) { o.hierarchy = parse_hierarchy(word); }},
        {"--event-log FILE", cli::every_mode, "the firmware's log of this boot, which explains the PCRs",
         cli::set(o.event_log)},
        {"--socket PATH", cli::every_mode, "pass the question to the service at this socket",
         cli::set(o.socket)},
    };
    o.tpm.add_target_to(table, cli::every_mode);
    auto listener = os::activated_socket();
    const auto parsed = cli::parse_options(call.arguments, table, 1);
    if (parsed.help)
        return show_help(call, serve_usage, serve_about, table, "");
    if (parsed.version)
        return show_version();
    if (!parsed.operands.empty())
        throw Error(Errc::usage, "unexpected argument \"" + parsed.operands[0] + "\"",
                    "--key-dir names a folder");
    cli::require_apart(parsed, "--key-dir", "--hierarchy");
    if (o.socket) {
        os::give_up_network();
        // sshd throws a subsystem's stderr away. On stdout, the error reaches `check`, which prints it.
        ::dup2(STDOUT_FILENO, STDERR_FILENO);
        return relay(*o.socket);
    }
    const auto event_log = read_event_log(o);
    confine(o);
    if (listener)
        Service(*listener, o, event_log).run();
    else
        write_before(STDOUT_FILENO,
                     answer_to(attest::Question::parse(question_before(
                                   STDIN_FILENO, SteadyClock::now() + time_limits().attest_question)),
                               o, event_log)
                         .text(),
                     SteadyClock::now() + time_limits().attest_question);
    return 0;
}

} // namespace sshtpm::applets
