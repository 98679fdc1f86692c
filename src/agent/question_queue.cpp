#include "agent/question_queue.hpp"

#include <algorithm>
#include <cstdint>
#include <list>

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

struct QuestionQueue::Entry {
    Entry(const asio::any_io_executor& loop, Question wanted, std::uint64_t start_tag)
        : question(std::move(wanted)), start(start_tag), decided(loop) {}

    Question question;
    std::uint64_t start; ///< the lowest one is served first
    bool open = false;
    /// Closed when the question may be asked, or need not be.
    asio::experimental::channel<void(boost::system::error_code)> decided;
};

/// Those that are open and those that wait, in the order in which they came. Start-time fair queueing: each
/// question of a process starts behind the one before, and the first one of a process where the queue is now.
struct QuestionQueue::Entries {
    explicit Entries(asio::any_io_executor executor) : loop(std::move(executor)) {}

    std::uint64_t next_start(const Question& question) const {
        auto start = served;
        for (const auto& entry : list)
            if (entry->question.process == question.process)
                start = std::max(start, entry->start + 1);
        return start;
    }

    bool may_open(const Question& question) const {
        std::size_t open = 0, of_process = 0;
        for (const auto& entry : list) {
            if (!entry->open)
                continue;
            const auto& other = entry->question;
            if ((!question.key.empty() && other.key == question.key) ||
                (question.on_terminal && other.on_terminal))
                return false;
            ++open;
            of_process += other.process == question.process ? 1 : 0;
        }
        return open < most_open && of_process < (question.process ? most_of_one_process : 1);
    }

    /// Opens what may be opened.
    void serve() {
        for (;;) {
            std::shared_ptr<Entry> next;
            for (const auto& entry : list)
                if (!entry->open && entry->decided.is_open() && may_open(entry->question) &&
                    (!next || entry->start < next->start))
                    next = entry;
            if (!next)
                return;
            served = std::max(served, next->start); // one that had to wait for its key is behind
            next->open = true;
            next->decided.close();
        }
    }

    asio::any_io_executor loop;
    std::list<std::shared_ptr<Entry>> list;
    std::uint64_t served = 0;
};

QuestionQueue::Place::Place(std::shared_ptr<Entries> entries, Question question)
    : entries_(std::move(entries)) {
    const auto start = entries_->next_start(question);
    entry_ = std::make_shared<Entry>(entries_->loop, std::move(question), start);
    entries_->list.push_back(entry_);
}

QuestionQueue::Place::~Place() {
    if (!entries_) // moved from
        return;
    entries_->list.remove(entry_);
    entries_->serve();
}

bool QuestionQueue::Place::open() const noexcept {
    return entry_->open;
}

QuestionQueue::QuestionQueue(const asio::any_io_executor& loop) : entries_(std::make_shared<Entries>(loop)) {}

asio::awaitable<QuestionQueue::Place> QuestionQueue::wait(Question question) {
    Place place(entries_, std::move(question));
    place.entries_->serve();
    boost::system::error_code failure;
    co_await place.entry_->decided.async_receive(asio::redirect_error(asio::use_awaitable, failure));
    if (place.entry_->decided.is_open()) // cancelled
        throw boost::system::system_error(asio::error::operation_aborted);
    co_return std::move(place);
}

void QuestionQueue::wake(const std::string& key) {
    for (const auto& entry : entries_->list)
        if (!entry->open && entry->question.key == key)
            entry->decided.close();
}

} // namespace sshtpm::agent
