#include "agent/dispatcher.hpp"

#include "agent/parse.hpp"
#include "agent/reply.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"

#include <boost/asio/error.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

Dispatcher::Dispatcher(KeyStore& keys, TpmLane& lane)
    : keys_(keys), signer_(keys, lane), failure_(std::make_shared<const Bytes>(failure_reply())) {}

std::shared_ptr<const Bytes> Dispatcher::handle_at_once(ByteView message) const {
    return message.front() == SSH_AGENTC_REQUEST_IDENTITIES ? keys_.listing() : nullptr;
}

asio::awaitable<std::shared_ptr<const Bytes>> Dispatcher::handle(Bytes message) {
    try { // caught so that the request fails and the connection lives on
        auto request = parse_request(message);
        if (auto* sign = std::get_if<SignRequest>(&request))
            co_return co_await handle_sign(std::move(*sign));
        if (const auto* unsupported = std::get_if<Unsupported>(&request))
            log::debug("message ", unsupported->number, " is not supported");
    } catch (const Error& error) {
        log::error(printable(error.what(), 1000));
        if (!error.hint().empty())
            log::info("hint: ", error.hint());
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted)
            throw; // the client has gone: nobody to answer
        log::error(error.code().message());
    } catch (const std::exception& error) {
        log::error(error.what());
    }
    co_return failure_;
}

asio::awaitable<std::shared_ptr<const Bytes>> Dispatcher::handle_sign(SignRequest request) {
    const auto signature = co_await signer_.sign(std::move(request));
    co_return signature ? std::make_shared<const Bytes>(sign_reply(*signature)) : failure_;
}

} // namespace sshtpm::agent
