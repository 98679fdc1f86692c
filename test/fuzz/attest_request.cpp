// SPDX-License-Identifier: MIT
// A request that is read is written as the same bytes; verifying it ends with a proof or an Error.

#include "attest/verify.hpp"
#include "fuzz/target.hpp"
#include "keyfile/object_name.hpp"

using namespace sshtpm;

FUZZ_TARGET(attest_request) {
    const auto text = text_of({data, size});
    const auto request = taken(attest::Request::parse, text);
    if (!request)
        return;
    require(request->text() == text);
    attest::Demands demands;
    demands.max_age = std::chrono::hours(24 * 365 * 100);
    demands.known = {{.name = keyfile::object_name(request->ek), .principals = {}}};
    attempt([&] { attest::verify(*request, demands); });
}
