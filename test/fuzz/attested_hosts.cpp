// SPDX-License-Identifier: MIT
// A record of hosts that is read is written as the same lines.

#include "attest/attested_hosts.hpp"

#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(attested_hosts) {
    const auto hosts = taken(attest::parse_attested_hosts, text_of({data, size}));
    if (!hosts)
        return;
    require(attest::parse_attested_hosts(attest::attested_hosts_text(*hosts)) == *hosts);
    for (const auto& host : *hosts)
        require(!host.host.empty() && host.pcrs.size() == host.selection.numbers.size());
}
