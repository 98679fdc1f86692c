// SPDX-License-Identifier: MIT
// A known_tpms file: each line that is read can be written, and what is written reads as the same.

#include "tpm/known_tpms.hpp"

#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(known_tpms) {
    std::vector<tpm::KnownParent> known;
    try {
        known = tpm::parse_known_tpms(text_of({data, size}));
    } catch (const Error& error) {
        return require(error.code() == Errc::malformed &&
                       std::string_view(error.what()).starts_with("line "));
    }
    std::string written;
    for (std::size_t i = 0; i < known.size(); ++i) { // none of this may throw
        written += tpm::known_tpms_line(known[i]);
        known[i].line = i + 1;
    }
    require(tpm::parse_known_tpms(written) == known);
}
