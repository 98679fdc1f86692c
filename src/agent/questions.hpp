// SPDX-License-Identifier: MIT
#pragma once
// Clients, and the questions that their requests ask a person: the texts and the queue.

#include "agent/upstream.hpp"
#include "identity/identity.hpp"
#include "os/unix_socket.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "tpm/lockout.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sshtpm::agent {

/// The agent's data about one client.
struct Client {
    os::Peer peer;
    Upstreams upstreams;
    protocol::BoundSessions sessions = {};
    bool forwarded_refused = false;                     ///< a request was refused as a forwarded one
    unsigned wrong_passwords = 0;                       ///< consecutive wrong passwords to unlock the agent
    std::uint32_t tries_told = protocol::unknown_tries; ///< PIN tries left, as last told
};

/// The process that asks for a signature, and the purpose. Both are looked up only for a question to a
/// person and for the log.
class Requester {
  public:
    /// @param data to be signed. The client and the data must outlive this object.
    Requester(const Client& client, ByteView data) : client_(client), data_(data) {}

    /// "ssh (pid 4711), child of …, from another host".
    std::string program() const;
    /// "Asked for by ssh (pid 4711), child of …, to log in as 'user'.", a line of its own.
    std::string words() const;
    /// The process that asks; nothing if the request may come from another host.
    std::optional<pid_t> process() const;

  private:
    const Client& client_;
    ByteView data_;
};

// All names in the texts are made printable, because they come from files and from other processes.

/// The first two words and the last line let every askpass program take it for a question for a secret: VS
/// Code's looks for "passphrase" in the second word (extensions/git/src/askpass.ts), others for "Enter PIN
/// for", as in OpenSSH's question for the PIN of a FIDO key, or for ": " at the end. ksshaskpass
/// (src/prompt.cpp) takes a question of several lines for a secret that it does not store: a stored PIN that
/// is wrong would cost a try at every login.
/// @param lockout nothing if the TPM did not report it
/// @param refused the number of PINs that the TPM has refused in this request
std::string pin_question(const identity::Identity& identity, const Requester& requester,
                         const std::optional<tpm::Lockout>& lockout, int refused);

std::string confirm_question(const identity::Identity& identity, const Requester& requester);

/// The queue of questions. At most four are open, at most two of one process and one of all forwarded
/// connections together. The process with the fewest open questions is next; processes with the same number
/// take turns. For the thread of the loop.
class QuestionQueue {
  public:
    static constexpr std::size_t most_open = 4;
    static constexpr std::size_t most_of_one_process = 2;

    struct Question {
        std::optional<pid_t> process; ///< nothing for forwarded connections
        std::string key = {};     ///< blob of the key whose PIN is asked for; one question per key is open
        bool on_terminal = false; ///< one question is open on the terminal; the others there wait
    };

    explicit QuestionQueue(asio::any_io_executor loop) : loop_(std::move(loop)) {}

    class Place;

    /// Waits until the question may be asked. @returns a place that is open, or is not open after `wake`
    asio::awaitable<Place> wait(Question question);

    /// Ends the wait of all questions about this key, because its PIN is known now.
    void wake(const std::string& key);

  private:
    struct Entry;

    std::size_t open_of(const std::optional<pid_t>& process) const;
    bool may_open(const Question& question) const;
    void serve();
    void remove(const std::shared_ptr<Entry>& gone);

    asio::any_io_executor loop_;
    std::vector<std::shared_ptr<Entry>> entries_; ///< open and waiting ones
};

/// A place in the queue; the destructor gives it up. The queue must outlive it.
class QuestionQueue::Place {
  public:
    Place(QuestionQueue& queue, std::shared_ptr<Entry> entry) : queue_(queue), entry_(std::move(entry)) {}
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place();

    bool open() const noexcept;

  private:
    QuestionQueue& queue_;
    std::shared_ptr<Entry> entry_; ///< null after a move
};

} // namespace sshtpm::agent
