// SPDX-License-Identifier: MIT
#pragma once
// Rights that keygen and add do not need.

namespace sshtpm::applets {

struct Needs {
    bool network = false; ///< for something else than askpass
};

/// Gives up new privileges, and the network unless it is needed. An askpass program may need it, for a
/// display of another machine (ssh -X). Call it before hostile input is read, and not in a process that runs
/// a tool of OpenSSH.
void give_up_rights(Needs needs);

} // namespace sshtpm::applets
