// New PINs for keys, in a private swtpm.

#include "tpm/change_auth.hpp"

#include "bus.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

constexpr std::string_view old_text = "the old PIN of this key", new_text = "the new PIN of this key";

/// Allows so many wrong PINs; a failure is forgotten after `interval` seconds.
void set_lockout(const tpm::Context& context, std::uint32_t max_failures, std::uint32_t interval) {
    tpm::check("Esys_DictionaryAttackParameters",
               Esys_DictionaryAttackParameters(context.esys(), ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD,
                                               ESYS_TR_NONE, ESYS_TR_NONE, max_failures, interval, 1000));
}

} // namespace

SCENARIO("a PIN is changed, set and taken away") {
    struct Change {
        std::string_view from, to;
        Srk srk = Srk::persistent;
    };
    const auto [from, to, srk] = GENERATE(Change{old_text, new_text, Srk::absent}, Change{old_text, new_text},
                                          Change{"", new_text}, Change{old_text, ""}, Change{"", ""});
    Lab lab(srk);
    auto key = tpm::create_key(*lab.device, {}, pin(from));
    key.description = "kept";
    const auto changed = tpm::change_auth(*lab.device, key, pin(from), pin(to));
    REQUIRE(changed);
    CHECK(changed->empty_auth == to.empty());
    CHECK(changed->description == "kept");
    CHECK(signs(*lab.device, *changed, pin(to)));
    if (from != to)
        CHECK_FALSE(signs(*lab.device, *changed, pin(from)));
    CHECK(signs(*lab.device, key,
                pin(from))); // the old file still has the old PIN: only the caller replaces it
    for (const auto secret : {old_text, new_text})
        CHECK(never_on_bus(lab.log, secret));
    CHECK(sessions_are_safe(lab.log));
    CHECK(lab.close() == 0);
}

SCENARIO("a change of PIN costs six commands under the persistent storage key") {
    Lab lab(Srk::persistent);
    const auto key = tpm::create_key(*lab.device, {}, pin(old_text));
    REQUIRE(signs(*lab.device, key, pin(old_text))); // the first use of a guarded key is answered with RETRY
    lab.reopen();
    lab.log.clear();
    REQUIRE(tpm::change_auth(*lab.device, key, pin(old_text), pin(new_text)));
    CHECK(lab.log.commands() == Names{"TPM2_Load", "TPM2_StartAuthSession", "TPM2_GetRandom",
                                      "TPM2_ObjectChangeAuth", "TPM2_FlushContext", "TPM2_FlushContext"});
    CHECK(lab.close() == 0);
}

SCENARIO("a PIN is changed while all the room for warm keys is taken") {
    Lab lab(GENERATE(Srk::absent, Srk::persistent));
    const auto key = tpm::create_key(*lab.device, {}, pin(old_text));
    for (std::size_t i = 0; i < tpm::WarmKeys::capacity; ++i)
        REQUIRE(signs(*lab.device, tpm::create_key(*lab.device, {}, pin("other")), pin("other")));
    const auto changed = tpm::change_auth(*lab.device, key, pin(old_text), pin(new_text));
    REQUIRE(changed);
    CHECK(signs(*lab.device, *changed, pin(new_text)));
    CHECK(lab.close() == 0);
}

SCENARIO("a wrong old PIN is told apart from a failure and costs one try") {
    Lab lab(Srk::persistent);
    const auto key = tpm::create_key(*lab.device, {}, pin(old_text));
    CHECK_FALSE(tpm::change_auth(*lab.device, key, pin("wrong"), pin(new_text)));
    CHECK(tpm::read_lockout(lab.unseen).failures == 1);
    CHECK_FALSE(tpm::change_auth(*lab.device, key, nullptr, pin(new_text)));
    CHECK(tpm::read_lockout(lab.unseen).failures == 2);
    CHECK(never_on_bus(lab.log, new_text));
    CHECK(sessions_are_safe(lab.log));
    CHECK(lab.close() == 0);
}

SCENARIO("a key exempt from dictionary-attack protection refuses a wrong PIN without counting it") {
    Lab lab(Srk::persistent);
    const auto key = tpm::create_key(*lab.device, {}, nullptr);
    CHECK_FALSE(tpm::change_auth(*lab.device, key, pin("wrong"), pin(new_text)));
    CHECK(tpm::read_lockout(lab.unseen).failures == 0);
    CHECK(lab.close() == 0);
}

SCENARIO("a locked TPM says when the next try comes back") {
    Lab lab(Srk::persistent);
    set_lockout(lab.unseen, 1, 600);
    const auto key = tpm::create_key(*lab.device, {}, pin(old_text));
    REQUIRE_FALSE(signs(*lab.device, key, pin("wrong")));
    REQUIRE(tpm::read_lockout(lab.unseen).active);
    const auto change = [&] { tpm::change_auth(*lab.device, key, pin(old_text), pin(new_text)); };
    const auto sign = [&] { signs(*lab.device, key, pin(old_text)); };
    for (const auto& error : {thrown(change), thrown(sign)}) {
        CHECK(error.code() == Errc::lockout);
        CHECK(error.tpm_rc() == TPM2_RC_LOCKOUT);
        CHECK_FALSE(error.hint().empty());
        CHECK_THAT(error.what(), contains("one try comes back every 10 minutes"));
    }
    CHECK(lab.close() == 0);
}

SCENARIO("another TPM's key and one that needs a policy get no new PIN") {
    Lab here(Srk::persistent), there(Srk::persistent);
    const auto foreign = tpm::create_key(*there.device, {}, nullptr);
    CHECK(refusal([&] { tpm::change_auth(*here.device, foreign, nullptr, pin(new_text)); }) ==
          Errc::foreign_key);
    auto with_policy = tpm::create_key(*here.device, {}, nullptr);
    with_policy.public_area.objectAttributes |= TPMA_OBJECT_ADMINWITHPOLICY;
    CHECK(refusal([&] { tpm::change_auth(*here.device, with_policy, nullptr, pin(new_text)); }) ==
          Errc::unsupported);
    CHECK(here.close() == 0);
    CHECK(there.close() == 0);
}
