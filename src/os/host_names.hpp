// SPDX-License-Identifier: MIT
#pragma once
// The names of this machine.

#include <string>
#include <vector>

namespace sshtpm::os {

/// The host name, and the other names in its line of /etc/hosts, such as that with the domain; in lower case,
/// none twice. Asks no DNS server. @throws Error(io)
std::vector<std::string> host_names();

} // namespace sshtpm::os
