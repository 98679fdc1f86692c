// SPDX-License-Identifier: MIT
// New PINs for keys, in a private swtpm. What users see of them is in test/scenario/keygen_changes.py.

#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/create.hpp"

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view old_text = "the old PIN of this key", new_text = "the new PIN of this key";

} // namespace

SCENARIO("a change of PIN costs six commands under the persistent storage key") {
    Lab lab(Srk::persistent);
    const auto key = new_key(*lab.device, pin(old_text));
    REQUIRE(signs(*lab.device, key, pin(old_text))); // the first use of a guarded key is answered with RETRY
    lab.reopen();
    lab.log.clear();
    REQUIRE(new_pin(*lab.device, key, pin(old_text), pin(new_text)));
    CHECK(lab.log.commands() == Names{"TPM2_Load", "TPM2_StartAuthSession", "TPM2_GetRandom",
                                      "TPM2_ObjectChangeAuth", "TPM2_FlushContext", "TPM2_FlushContext"});
    CHECK(lab.close() == 0);
}

SCENARIO("a wrong old PIN and lockout are told apart, and the key stays usable") {
    Lab lab(Srk::persistent);
    const auto key = new_key(*lab.device, pin(old_text));
    const auto change = [&] { return new_pin(*lab.device, key, pin(old_text), pin(new_text)); };
    for (const auto* code : {"0x98e", "0x9a2"}) {
        lab.log.fail({std::string("TPM2_ObjectChangeAuth answer ") + code});
        CHECK_FALSE(change());
    }
    lab.log.fail({"TPM2_ObjectChangeAuth answer 0x921"});
    CHECK(refusal([&] { change(); }) == Errc::lockout);
    lab.log.fail({});
    const auto changed = change();
    REQUIRE(changed);
    CHECK(signs(*lab.device, *changed, pin(new_text)));
    CHECK(lab.close() == 0);
}

SCENARIO("a PIN is changed while all the room for warm keys is taken") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    const auto key = new_key(*lab.device, pin(old_text));
    for (std::size_t i = 0; i < tpm::LoadedKeys::capacity; ++i)
        REQUIRE(signs(*lab.device, new_key(*lab.device, pin("other")), pin("other")));
    const auto changed = new_pin(*lab.device, key, pin(old_text), pin(new_text));
    REQUIRE(changed);
    CHECK(signs(*lab.device, *changed, pin(new_text)));
    CHECK(lab.close() == 0);
}

SCENARIO("another TPM's key and one that needs a policy get no new PIN") {
    Lab here(Srk::persistent), there(Srk::persistent);
    const auto foreign = new_key(*there.device, nullptr);
    CHECK(refusal([&] { new_pin(*here.device, foreign, nullptr, pin(new_text)); }) == Errc::foreign_key);
    auto with_policy = new_key(*here.device, nullptr);
    with_policy.public_area.objectAttributes |= TPMA_OBJECT_ADMINWITHPOLICY;
    CHECK(refusal([&] { new_pin(*here.device, with_policy, nullptr, pin(new_text)); }) == Errc::unsupported);
    CHECK(here.close() == 0);
    CHECK(there.close() == 0);
}
