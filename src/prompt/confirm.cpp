#include "prompt/confirm.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "prompt/askpass.hpp"
#include "prompt/policy.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace sshtpm::prompt {

boost::asio::awaitable<Confirmation> confirm(std::string question) {
    if (!askpass_allowed(current_circumstances())) {
        log::error("nobody can be asked to confirm: there is no DISPLAY or WAYLAND_DISPLAY, and "
                   "SSH_ASKPASS_REQUIRE is not \"force\", or it is \"never\"");
        co_return Confirmation::nobody;
    }
    try {
        co_return co_await confirm_askpass(askpass_program(), std::move(question));
    } catch (const Error& failure) { // no descriptors, no memory
        log::error("asking to confirm: ", printable(failure.what()));
        co_return Confirmation::failed;
    } catch (const boost::system::system_error& failure) {
        if (failure.code() != boost::asio::error::operation_aborted) {
            log::error("asking to confirm: ", failure.code().message());
            co_return Confirmation::failed;
        }
    }
    co_return Confirmation::unanswered;
}

} // namespace sshtpm::prompt
