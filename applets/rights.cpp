// SPDX-License-Identifier: MIT
#include "applets/rights.hpp"

#include "base/log.hpp"
#include "os/rights.hpp"
#include "prompt/ask.hpp"

namespace sshtpm::applets {

void give_up_rights(bool needs_network) {
    os::give_up_new_privileges();
    const auto asker = prompt::choose_asker(prompt::current_circumstances(), prompt::Program::tool);
    if (needs_network || asker == prompt::Asker::askpass)
        return;
    if (!os::give_up_network())
        log::debug("this kernel cannot take the network away from a process");
}

} // namespace sshtpm::applets
