// SPDX-License-Identifier: MIT
#pragma once
// The names of this machine.

#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// Empty if this host has no name.
std::string host_name();

/// The host name, and the other names in its lines of /etc/hosts, such as that with the domain; in lower
/// case, none twice. Asks no DNS server.
std::vector<std::string> host_names();

/// The other names in the lines of hosts(5) that have the name `own`; in lower case, none twice.
/// @param own in lower case
std::vector<std::string> names_beside(std::string_view hosts_file, std::string_view own);

} // namespace sshtpm::os
