// SPDX-License-Identifier: MIT
#pragma once
// Rights that keygen and add do not need.

namespace sshtpm::applets {

/// Gives up new privileges, and the network unless it is needed. An askpass program may need it, for a
/// display of another machine (ssh -X). Call it before hostile input is read, and not in a process that runs
/// a tool of OpenSSH.
/// @param needs_network for something else than askpass
void give_up_rights(bool needs_network);

} // namespace sshtpm::applets
