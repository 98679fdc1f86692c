#pragma once
// The queue of questions to a person, fair between processes.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

/// At most four questions are open, two of them from one process and one from all forwarded connections
/// together. The processes that wait take turns. On the loop's thread alone.
class QuestionQueue {
  public:
    static constexpr std::size_t most_open = 4;
    static constexpr std::size_t most_of_one_process = 2;

    struct Question {
        std::optional<pid_t> process; ///< nothing for forwarded connections
        std::string key = {};     ///< the blob of the key whose PIN is asked for; one at a time for each key
        bool on_terminal = false; ///< one that waits for the terminal takes no place from the others
    };

    explicit QuestionQueue(const boost::asio::any_io_executor& loop);

    class Place;

    /// Waits until the question may be asked. The place is open then, and is given up when it goes; after
    /// `wake` it is not open.
    boost::asio::awaitable<Place> wait(Question question);

    /// The PIN of this key is known: the requests that wait to ask for it need not ask.
    void wake(const std::string& key);

  private:
    struct Entry;
    struct Entries;

    std::shared_ptr<Entries> entries_; ///< shared with the places, which may outlive the queue
};

class QuestionQueue::Place {
  public:
    Place(std::shared_ptr<Entries> entries, Question question);
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place();

    bool open() const noexcept;

  private:
    friend QuestionQueue;

    std::shared_ptr<Entries> entries_;
    std::shared_ptr<Entry> entry_;
};

} // namespace sshtpm::agent
