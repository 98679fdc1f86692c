// SPDX-License-Identifier: MIT
#include "agent/questions.hpp"

#include "base/printable.hpp"
#include "os/process.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/lockout.hpp"

#include <algorithm>
#include <vector>

namespace sshtpm::agent {

namespace {

// Texts are appended, not added to a literal, because GCC 12 at -O3 then warns of overlaps that do not exist.

std::string quoted(const std::string& comment) {
    return std::string("'").append(printable(comment)).append("'");
}

/// The number of tries that are left, and the time until one comes back.
std::string tries(const std::optional<tpm::Lockout>& lockout) {
    if (!lockout)
        return "The TPM does not say how many tries are left: this may be the LAST TRY before it locks.\n";
    if (!lockout->counts())
        return {};
    std::string text = lockout->last_try()
                           ? std::string("LAST TRY: another wrong PIN locks the TPM")
                           : std::to_string(lockout->tries_left()).append(" tries before the TPM locks");
    return text.append("; a try comes back ").append(tpm::every(lockout->interval)).append(".\n");
}

} // namespace

std::string Requester::program() const {
    auto text = os::describe_process(client_.peer.pid);
    if (!process())
        text += ", from another host";
    return text;
}

std::string Requester::words() const {
    auto text = std::string("Asked for by ").append(program());
    if (const auto login = protocol::parse_userauth(data_))
        text.append(", to log in as ").append(quoted(login->user));
    return text + ".\n";
}

std::optional<pid_t> Requester::process() const {
    const auto sessions = client_.sessions.sessions();
    if (sessions.size() > 1 || (!sessions.empty() && sessions.back().is_forwarding))
        return std::nullopt;
    return client_.peer.pid;
}

std::string pin_question(const identity::Identity& identity, const Requester& requester,
                         const std::optional<tpm::Lockout>& lockout, int refused) {
    std::string text("Enter passphrase for key ");
    return text.append(quoted(identity.comment))
        .append(" (")
        .append(ssh::fingerprint(identity.public_key.blob()))
        .append(").\n")
        .append(requester.words())
        .append(refused > 0 ? "That PIN is wrong.\n" : "")
        .append(tries(lockout))
        .append("Enter PIN for key ")
        .append(quoted(identity.comment))
        .append(": ");
}

std::string confirm_question(const identity::Identity& identity, const Requester& requester) {
    std::string text("Allow use of key ");
    return text.append(quoted(identity.comment))
        .append("?\nKey fingerprint ")
        .append(ssh::fingerprint(identity.public_key.blob()))
        .append(".\n")
        .append(requester.words());
}

struct QuestionQueue::Entry {
    Entry(const asio::any_io_executor& loop, Question wanted) : question(std::move(wanted)), decided(loop) {}

    Question question;
    /// Closed when the question may be asked, or is no longer needed.
    asio::experimental::channel<void(ErrorCode)> decided;
    bool open = false;
};

QuestionQueue::Place::~Place() {
    if (entry_)
        queue_.remove(entry_);
}

bool QuestionQueue::Place::open() const noexcept {
    return entry_->open;
}

asio::awaitable<QuestionQueue::Place> QuestionQueue::wait(Question question) {
    const auto entry = std::make_shared<Entry>(loop_, std::move(question));
    Place place(*this, entry);
    entries_.push_back(entry);
    serve();
    ErrorCode failure;
    co_await entry->decided.async_receive(asio::redirect_error(asio::use_awaitable, failure));
    if (entry->decided.is_open()) // cancelled
        throw SystemError(asio::error::operation_aborted);
    co_return std::move(place);
}

void QuestionQueue::wake(const std::string& key) {
    for (const auto& entry : entries_)
        if (!entry->open && entry->question.key == key)
            entry->decided.close();
}

std::size_t QuestionQueue::open_of(const std::optional<pid_t>& process) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        entries_, [&](const auto& entry) { return entry->open && entry->question.process == process; }));
}

bool QuestionQueue::may_open(const Question& question) const {
    const auto excludes = [&](const Question& other) {
        return (!question.key.empty() && other.key == question.key) ||
               (question.on_terminal && other.on_terminal);
    };
    std::size_t open = 0;
    for (const auto& entry : entries_) {
        if (entry->open && excludes(entry->question))
            return false;
        open += entry->open ? 1 : 0;
    }
    return open < most_open && open_of(question.process) < (question.process ? most_of_one_process : 1);
}

/// Opens all questions that may be asked now.
void QuestionQueue::serve() {
    for (;;) {
        std::shared_ptr<Entry> next;
        for (const auto& entry : entries_)
            if (!entry->open && entry->decided.is_open() && may_open(entry->question) &&
                (!next || open_of(entry->question.process) < open_of(next->question.process)))
                next = entry;
        if (!next)
            return;
        next->open = true;
        next->decided.close();
    }
}

void QuestionQueue::remove(const std::shared_ptr<Entry>& gone) {
    std::erase(entries_, gone);
    if (gone->open) // the other questions of its process go to the end of the queue
        std::ranges::stable_partition(
            entries_, [&](const auto& entry) { return entry->question.process != gone->question.process; });
    serve();
}

} // namespace sshtpm::agent
