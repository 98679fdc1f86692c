// SPDX-License-Identifier: MIT
// The output of another program: the value of a name is a part of one line.

#include "base/bytes.hpp"
#include "base/lines.hpp"
#include "fuzz/target.hpp"

FUZZ_TARGET(value_in) {
    using namespace sshtpm;
    const auto text = text_of({data, size});
    const auto value = value_in(text, "Id=");
    require(value.find('\n') == std::string_view::npos);
    require(value.empty() || text.find(value) != std::string_view::npos);
}
