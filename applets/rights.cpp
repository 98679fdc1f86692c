// SPDX-License-Identifier: MIT
#include "applets/rights.hpp"

#include "os/sandbox.hpp"
#include "prompt/ask.hpp"

namespace sshtpm::applets {

void give_up_rights(Needs needs) {
    const auto asker = prompt::choose_asker(prompt::current_circumstances(), prompt::Program::tool);
    if (needs.network || asker == prompt::Asker::askpass)
        os::give_up_new_privileges();
    else
        os::give_up_network();
}

} // namespace sshtpm::applets
