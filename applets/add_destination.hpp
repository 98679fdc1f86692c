#pragma once
// ssh-tpm-add -h: where a key may be used, in the syntax of ssh-add(1).

#include "protocol/constraints.hpp"

#include <string>
#include <vector>

namespace sshtpm::applets {

/// @param destinations each "[user@]host" or "from>[user@]host"; hosts as known_hosts files name them.
/// @param host_key_files known_hosts files, "~/" in front for the home folder; none for the usual ones.
///     Files that are not there are passed over.
/// @throws Error(usage) for another syntax, Error(not_found) for a host without a known key.
std::vector<protocol::DestinationConstraint>
read_destinations(const std::vector<std::string>& destinations,
                  const std::vector<std::string>& host_key_files);

} // namespace sshtpm::applets
