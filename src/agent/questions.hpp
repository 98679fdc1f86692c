#pragma once
// Clients, and the questions that their requests put to a person: the words, and the queue.

#include "agent/upstream.hpp"
#include "identity/identity.hpp"
#include "os/unix_socket.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "tpm/lockout.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sshtpm::agent {

/// What the agent knows of one client.
struct Client {
    os::Peer peer;
    Upstreams upstreams;
    protocol::BoundSessions sessions = {};
    unsigned wrong_passwords = 0;                       ///< to unlock, in a row
    std::uint32_t tries_told = protocol::unknown_tries; ///< of PINs, when it last heard of them
};

/// Who asks for a signature, and for what; looked up when a person is to be told.
class Requester {
  public:
    /// @param data to be signed. Both stay where they are while this lives.
    Requester(const Client& client, ByteView data) : client_(client), data_(data) {}

    /// "Asked for by ssh (pid 4711), child of …, to log in as 'user'.", a line of its own.
    std::string words() const;
    /// The process that asks; nothing where the request may come from another host.
    std::optional<pid_t> process() const;

  private:
    const Client& client_;
    ByteView data_;
};

// All names in the texts are made printable: they come from files and from other processes.

/// @param lockout nothing when the TPM did not say.
/// @param refused PINs that the TPM has refused in this request.
std::string pin_question(const identity::Identity& identity, const Requester& requester,
                         const std::optional<tpm::Lockout>& lockout, int refused);

std::string confirm_question(const identity::Identity& identity, const Requester& requester);

/// At most four questions are open, two of them from one process and one from all forwarded connections
/// together. The process with the fewest open questions is next; equal ones take turns. For the loop's
/// thread.
class QuestionQueue {
  public:
    static constexpr std::size_t most_open = 4;
    static constexpr std::size_t most_of_one_process = 2;

    struct Question {
        std::optional<pid_t> process; ///< nothing for forwarded connections
        std::string key = {}; ///< the blob of the key whose PIN is asked for; one question per key is open
        bool on_terminal = false; ///< one that waits for the terminal takes no place from the others
    };

    explicit QuestionQueue(asio::any_io_executor loop) : loop_(std::move(loop)) {}

    class Place;

    /// Waits until the question may be asked; the returned place is open then. After `wake` it is not.
    asio::awaitable<Place> wait(Question question);

    /// The PIN of this key is known: the requests that wait to ask for it need not ask.
    void wake(const std::string& key);

  private:
    struct Entry;

    std::size_t open_of(const std::optional<pid_t>& process) const;
    bool may_open(const Question& question) const;
    void serve();
    void remove(const std::shared_ptr<Entry>& gone);

    asio::any_io_executor loop_;
    std::vector<std::shared_ptr<Entry>> entries_; ///< those that are open and those that wait
};

/// Given up when it is destroyed, before the queue is.
class QuestionQueue::Place {
  public:
    Place(QuestionQueue& queue, std::shared_ptr<Entry> entry) : queue_(queue), entry_(std::move(entry)) {}
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place();

    bool open() const noexcept;

  private:
    QuestionQueue& queue_;
    std::shared_ptr<Entry> entry_; ///< null when moved from
};

} // namespace sshtpm::agent
