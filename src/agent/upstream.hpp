#pragma once
// Another agent behind this one (-A): what is known of it, and one client's connection to it. What it says is
// as hostile as what clients say.

#include "agent/bindings.hpp"
#include "agent/known_list.hpp"
#include "base/bytes.hpp"
#include "protocol/frame.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace sshtpm::agent {

/// What all clients share of one agent behind this one.
class Upstream {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Upstream(std::filesystem::path path) : path_(std::move(path)) {}

    const std::filesystem::path& path() const noexcept { return path_; }
    /// Counts one question as waiting for as long as it lives.
    class Question {
      public:
        explicit Question(Upstream& upstream) : upstream_(upstream) { ++upstream_.questions_; }
        Question(const Question&) = delete;
        Question& operator=(const Question&) = delete;
        ~Question() { --upstream_.questions_; }

      private:
        Upstream& upstream_;
    };
    /// Agents that stand behind each other ask in circles; here is an end of that.
    bool too_many_questions() const noexcept { return questions_ >= most_questions; }

    /// True while it is not to be asked: it did not answer in time, or with rubbish, not long ago.
    bool resting() const { return Clock::now() < rest_until_; }
    /// True from when it misbehaved until it answers: nobody is to wait long for it meanwhile.
    bool suspected() const noexcept { return suspected_; }
    /// True once each time that a suspected one has rested: then somebody is to find out how it is.
    bool due_for_probe();
    /// It has given an answer that makes sense: whoever asked it is to say so.
    void answered();
    /// Not there: that costs nothing, so it is asked again at once. Logged once until it answers.
    void absent(const std::string& reason);
    /// It hangs or talks rubbish: each time in a row it rests for longer, up to a minute.
    void misbehaved(const std::string& reason);

    /// Whether the last list that anybody had of it has this key. A hint, to ask the right one first.
    bool listed(ByteView blob) const { return listed_.contains(blob); }
    /// Takes its list. @returns what of it others may be shown.
    std::vector<protocol::ListedKey> take_list(const std::vector<protocol::ListedKey>& keys);

  private:
    static constexpr int most_questions = 512;

    void log_once(const std::string& reason);

    std::filesystem::path path_;
    Clock::time_point rest_until_{};
    std::chrono::seconds rest_{1};
    int questions_ = 0; ///< that wait for an answer
    bool suspected_ = false;
    bool logged_ = false;
    bool told_left_out_ = false; ///< that a key is left out of its lists
    KnownList listed_;
};

/// One client's connection, made when it is first needed and again when it has broken: a shared one would
/// make every forwarded client look local to the other agent.
class UpstreamLink {
  public:
    explicit UpstreamLink(std::shared_ptr<Upstream> upstream) : upstream_(std::move(upstream)) {}

    Upstream& upstream() const noexcept { return *upstream_; }
    const std::shared_ptr<Upstream>& shared_upstream() const noexcept { return upstream_; }

    /// The reply to a message, which is sent as it is, behind the session-binds that the other agent has not
    /// had from this client yet.
    /// @param message and bindings stay where they are until the reply is there.
    /// @returns nothing when there is no answer in time, or none that can be one.
    boost::asio::awaitable<std::optional<Bytes>> ask(ByteView message, const Bindings& bindings,
                                                     std::chrono::milliseconds limit);

    /// The same, of one that is resting, too.
    boost::asio::awaitable<std::optional<Bytes>> probe(ByteView message, const Bindings& bindings,
                                                       std::chrono::milliseconds limit);

  private:
    using Socket = boost::asio::local::stream_protocol::socket;

    /// A connection with its state; whoever takes it out and does not put it back closes it.
    struct Connection {
        explicit Connection(Socket&& unconnected) : socket(std::move(unconnected)) {}

        Socket socket;
        protocol::FrameBuffer frames;
        std::size_t bindings_sent = 0;
    };

    boost::asio::awaitable<std::unique_ptr<Connection>> connect();
    boost::asio::awaitable<std::optional<Bytes>> try_ask(ByteView message, const Bindings& bindings);
    boost::asio::awaitable<Bytes> ask_on(Connection& connection, ByteView message, const Bindings& bindings);

    std::shared_ptr<Upstream> upstream_;
    std::unique_ptr<Connection> connection_;
};

} // namespace sshtpm::agent
