// SPDX-License-Identifier: MIT
// Records of findings that another process has written: what is taken can be written again, and is taken
// again.

#include "cli/findings.hpp"

#include "base/bytes.hpp"
#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(findings) {
    auto rest = text_of({data, size});
    for (auto left = rest.size(); const auto finding = cli::take_record(rest); left = rest.size()) {
        require(rest.size() < left);
        const auto record = cli::to_record(*finding);
        std::string_view again(record);
        const auto read = cli::take_record(again);
        require(read && again.empty() && read->verdict == finding->verdict);
        require(cli::to_record(*read) == record);
    }
}
