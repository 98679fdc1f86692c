// SPDX-License-Identifier: MIT
// What the probe's faults look like to the program behind it. That `swap` does its work is seen in
// test/scenario/known_tpms.py: without it nothing would be refused there.

#include "support/catch.hpp"
#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <poll.h>
#include <string>
#include <vector>

#include <tss2/tss2_tctildr.h>

using support::Swtpm;
using support::TctiLog;
using Bytes = std::vector<std::uint8_t>;
using Lines = std::vector<std::string>;

namespace {

/// The probe without ESYS above it, which resubmits commands and looks at responses.
class Tcti {
  public:
    explicit Tcti(const std::string& conf) {
        REQUIRE(Tss2_TctiLdr_Initialize(conf.c_str(), &tcti_) == TSS2_RC_SUCCESS);
    }
    Tcti(const Tcti&) = delete;
    Tcti& operator=(const Tcti&) = delete;
    ~Tcti() { Tss2_TctiLdr_Finalize(&tcti_); }

    TSS2_RC send() { return Tss2_Tcti_Transmit(tcti_, get_random.size(), get_random.data()); }
    TSS2_RC receive(std::int32_t timeout = TSS2_TCTI_TIMEOUT_BLOCK) {
        response.resize(4096);
        std::size_t size = response.size();
        const TSS2_RC rc = Tss2_Tcti_Receive(tcti_, &size, response.data(), timeout);
        response.resize(rc == TSS2_RC_SUCCESS ? size : 0);
        return rc;
    }
    TSS2_RC exchange() {
        const TSS2_RC rc = send();
        return rc == TSS2_RC_SUCCESS ? receive() : rc;
    }
    /// True when the descriptor that the TCTI names becomes readable within the time.
    bool readable_within(int milliseconds) {
        std::array<TSS2_TCTI_POLL_HANDLE, 1> handles{};
        std::size_t count = handles.size();
        REQUIRE(Tss2_Tcti_GetPollHandles(tcti_, handles.data(), &count) == TSS2_RC_SUCCESS);
        REQUIRE(count == 1);
        return poll(handles.data(), 1, milliseconds) == 1;
    }

    Bytes response;

  private:
    static constexpr std::array<std::uint8_t, 12> get_random{0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8};
    TSS2_TCTI_CONTEXT* tcti_ = nullptr;
};

struct Lab {
    Swtpm swtpm;
    TctiLog log{swtpm.tcti()};
};

const Bytes retry{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x22};
constexpr std::size_t whole = 10 + 2 + 8; // a response of eight random bytes

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

} // namespace

TEST_CASE("an answer of a rule is given as often as it says, by all users together") {
    Lab lab;
    Tcti a(lab.log.tcti());
    Tcti b(lab.log.tcti());
    lab.log.fail({"TPM2_GetRandom answer 0x922 times=2 after=1"});
    CHECK((a.exchange() == TSS2_RC_SUCCESS && a.response.size() == whole));
    CHECK((a.exchange() == TSS2_RC_SUCCESS && a.response == retry));
    CHECK((b.exchange() == TSS2_RC_SUCCESS && b.response == retry));
    CHECK((b.exchange() == TSS2_RC_SUCCESS && b.response.size() == whole));
    CHECK(lab.log.lines() == Lines{"TPM2_GetRandom 0x00000000", "TPM2_GetRandom 0x00000922",
                                   "TPM2_GetRandom 0x00000922", "TPM2_GetRandom 0x00000000"});
}

TEST_CASE("a rule that is used up leaves its commands to the rules below") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    lab.log.fail({"TPM2_Sign answer 0x101", "* answer 0x922 times=1", "* cut 12 times=1"});
    tcti.exchange();
    CHECK(tcti.response == retry);
    tcti.exchange();
    CHECK(tcti.response.size() == 12);
    tcti.exchange();
    CHECK(tcti.response.size() == whole);
}

TEST_CASE("new rules, the same ones too, take the place of the old ones, and none heal") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    for (int i = 0; i < 2; ++i) {
        lab.log.fail({"* answer 0x922 times=1"});
        tcti.exchange();
        CHECK(tcti.response == retry);
        tcti.exchange();
        CHECK(tcti.response.size() == whole);
    }
    lab.log.fail({"* answer 0x922"});
    lab.log.fail({});
    tcti.exchange();
    CHECK(tcti.response.size() == whole);
}

TEST_CASE("a response is cut, flipped, lied about or replaced") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    lab.log.fail({"* cut 4 times=1", "* corrupt 0 times=1", "* corrupt -20 times=1", "* corrupt times=1",
                  "* lie 5 times=1", "* lie -5 times=1", "* garbage times=1"});
    REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
    CHECK(tcti.response == Bytes{0x80, 0x01, 0, 0});
    for (int flipped = 0; flipped < 2; ++flipped) {
        REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
        CHECK((tcti.response.size() == whole && tcti.response[0] == 0x7f));
    }
    REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
    CHECK((tcti.response[whole / 2] == 0xff && tcti.response[0] == 0x80));
    for (const unsigned claimed : {25U, 15U}) {
        REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
        CHECK((tcti.response.size() == whole && tcti.response[5] == claimed));
    }
    REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
    CHECK((tcti.response.size() > 10 && tcti.response[0] != 0x80));
}

TEST_CASE("a lost response and an end of file are errors of the TCTI; only the former reached the TPM") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    lab.log.fail({"* lose times=1", "* eof times=1", "* eof receive times=1"});
    REQUIRE(tcti.send() == TSS2_RC_SUCCESS);
    CHECK(tcti.receive() == TSS2_TCTI_RC_IO_ERROR);
    lab.swtpm.stop();
    CHECK(tcti.send() == TSS2_TCTI_RC_IO_ERROR);
    REQUIRE(tcti.send() == TSS2_RC_SUCCESS);
    CHECK(tcti.receive() == TSS2_TCTI_RC_IO_ERROR);
    lab.swtpm.start();
    CHECK((tcti.exchange() == TSS2_RC_SUCCESS && tcti.response.size() == whole));
}

TEST_CASE("a response that never comes is waited for in vain, on its descriptor too") {
    Lab lab;
    lab.log.fail({"* hang times=1"});
    {
        Tcti tcti(lab.log.tcti());
        REQUIRE(tcti.send() == TSS2_RC_SUCCESS);
        CHECK_FALSE(tcti.readable_within(30));
        CHECK(tcti.receive(0) == TSS2_TCTI_RC_TRY_AGAIN);
        const auto start = std::chrono::steady_clock::now();
        CHECK(tcti.receive(50) == TSS2_TCTI_RC_TRY_AGAIN);
        CHECK(since(start).count() >= 50);
        CHECK(tcti.send() == TSS2_TCTI_RC_BAD_SEQUENCE);
    }
    Tcti again(lab.log.tcti());
    CHECK((again.exchange() == TSS2_RC_SUCCESS && again.response.size() == whole));
}

TEST_CASE("an answer that is there is readable at once, a slow one when its time has come") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    lab.log.fail({"* answer 0x922 times=1", "* slow 100 times=1"});
    REQUIRE(tcti.send() == TSS2_RC_SUCCESS);
    CHECK(tcti.readable_within(0));
    REQUIRE(tcti.receive() == TSS2_RC_SUCCESS);

    auto start = std::chrono::steady_clock::now();
    REQUIRE(tcti.send() == TSS2_RC_SUCCESS);
    CHECK(tcti.receive(0) == TSS2_TCTI_RC_TRY_AGAIN);
    CHECK(tcti.readable_within(5000));
    REQUIRE(tcti.receive() == TSS2_RC_SUCCESS);
    CHECK((since(start).count() >= 99 && tcti.response.size() == whole));

    // A rule for the pace and one for what becomes of it come together.
    lab.log.fail({"TPM2_GetRandom delay 50", "* delay 5000", "* answer 0x922"});
    start = std::chrono::steady_clock::now();
    REQUIRE(tcti.exchange() == TSS2_RC_SUCCESS);
    CHECK((since(start).count() >= 50 && since(start).count() < 5000 && tcti.response == retry));
}

TEST_CASE("a line that is no rule fails every command") {
    Lab lab;
    Tcti tcti(lab.log.tcti());
    for (const char* line :
         {"TPM2_Sign", "TPM2_Sign explode", "TPM2_Sign answer", "* answer ten", "* lose 5", "* delay 1 2",
          "* swap", "* hang times=x", "* hang times=-1", "* eof later", "* swap a fresh"}) {
        CAPTURE(line);
        lab.log.fail({line});
        CHECK(tcti.send() == TSS2_TCTI_RC_BAD_VALUE);
    }
    lab.log.fail({"# a comment", "", "TPM2_Sign swap /x stale times=1 after=2"});
    CHECK(tcti.exchange() == TSS2_RC_SUCCESS);
}
