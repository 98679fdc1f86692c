#include "agent/question_queue.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

struct QuestionQueue::Entry {
    Entry(const asio::any_io_executor& loop, Question wanted, std::uint64_t start)
        : question(std::move(wanted)), turn(start), decided(loop) {}

    Question question;
    std::uint64_t turn; ///< the lowest one is served first
    bool open = false;
    /// Closed when the question may be asked, or need not be.
    asio::experimental::channel<void(boost::system::error_code)> decided;
};

/// Those that are open and those that wait, in the order in which they came. Turns are given as in start-time
/// fair queueing: a process gets its next one behind its last, and a process that comes anew gets the one
/// that is served now.
struct QuestionQueue::Entries {
    explicit Entries(asio::any_io_executor executor) : loop(std::move(executor)) {}

    std::uint64_t next_turn(const Question& question) const {
        auto turn = served;
        for (const auto& entry : list)
            if (entry->question.process == question.process)
                turn = std::max(turn, entry->turn + 1);
        return turn;
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
                    (!next || entry->turn < next->turn))
                    next = entry;
            if (!next)
                return;
            served = next->turn;
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
    const auto turn = entries_->next_turn(question);
    entry_ = std::make_shared<Entry>(entries_->loop, std::move(question), turn);
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
