// SPDX-License-Identifier: MIT
#include "attest/event_log.hpp"

#include "attest/answer.hpp"
#include "attest/attested_hosts.hpp"
#include "base/printable.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace sshtpm;
using namespace support;

namespace {

std::vector<std::string> described(const attest::EventLog& log) {
    std::vector<std::string> all;
    for (const auto& event : log.events)
        all.push_back(attest::describe(event));
    return all;
}

} // namespace

TEST_CASE("the events of a log explain the values of a TPM") {
    const auto log = attest::parse_event_log(data_file("attest/answer/swtpm.log"), TPM2_ALG_SHA256);
    const auto question = attest::Question::parse(data_text("attest/answer/question"));
    const auto answer = attest::Answer::parse(data_text("attest/answer/swtpm.json"));
    const auto boot = attest::verify(answer, question, answer.keys[0].ssh.blob());
    CHECK(attest::replayed(log, question.pcrs) == boot.pcrs);
    CHECK(described(log) ==
          std::vector<std::string>{
              "separator df3f619804a92fdb",
              "boot services application " + hex(log.events[1].digest).substr(0, 16) + ": shim.efi",
              "boot services application " + hex(log.events[2].digest).substr(0, 16) + ": grub.efi",
              "EFI variable (driver configuration) " + hex(log.events[3].digest).substr(0, 16),
              "event 0x8000ffff " + hex(log.events[4].digest).substr(0, 16)});
}

TEST_CASE("the text of an event is the host's word unless it is what was measured") {
    const attest::BootEvent lie{
        .pcr = 4, .type = 0x80000003, .digest = Bytes(32, 0xab), .data = copy_of(bytes_of("grub.efi"))};
    CHECK(attest::describe(lie) ==
          "boot services application abababababababab, which the host calls \"grub.efi\"");
}

TEST_CASE("a boot of Linux by OVMF, as the machine of test/vm has recorded it") {
    const auto boot = attest::read_attested_hosts(data_path("attest/answer/ovmf.attested_hosts")).at(0);
    auto log = attest::parse_event_log(boot.event_log, boot.selection.bank);
    CHECK(attest::replayed(log, boot.selection) == boot.pcrs);
    std::erase_if(log.events, [](const auto& event) { return event.pcr != 7 && event.pcr != 9; });
    const std::string variable("EFI variable (driver configuration) ");
    CHECK(described(log) == std::vector<std::string>{
                                variable + "115aa827dbccfb44: SecureBoot", variable + "dea7b80ab53a3daa: PK",
                                variable + "e670e121fcebd473: KEK", variable + "baf89a3ccace5275: db",
                                variable + "9f75b6823bff6af1: dbx", "separator df3f619804a92fdb",
                                "tagged event 5e084d3fc59a63d6, which the host calls "
                                "\"LOADED_IMAGE::LoadOptions\""});
}

TEST_CASE("PCR 0 begins with the locality of the start") {
    const auto log = attest::parse_event_log(data_file("attest/answer/locality.log"), TPM2_ALG_SHA256);
    CHECK(log.locality == 3);
    CHECK(log.events.size() == 1);
    const auto answer = attest::Answer::parse(data_text("attest/answer/rsa.json"));
    CHECK(attest::replayed(log, attest::PcrSelection::parse("0")).at(0) == answer.pcrs[0]);
}

TEST_CASE("each bank has its digests") {
    const auto file = data_file("attest/answer/swtpm.log");
    const auto log = attest::parse_event_log(file, TPM2_ALG_SHA384);
    CHECK(log.events.size() == 5);
    CHECK(log.events[0].digest.size() == 48);
    CHECK(attest::replayed(log, attest::PcrSelection::parse("sha384:1")).at(1) == Bytes(48));
    CHECK(refusal(attest::parse_event_log, file, TPMI_ALG_HASH{TPM2_ALG_SHA512}) == Errc::malformed);
}

TEST_CASE("a log that was cut, or has bytes behind its end, is refused") {
    auto file = data_file("attest/answer/swtpm.log");
    const auto events = attest::parse_event_log(file, TPM2_ALG_SHA256).events;
    std::size_t whole = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
        try {
            const auto log = attest::parse_event_log(ByteView(file).first(size), TPM2_ALG_SHA256);
            CHECK(std::equal(log.events.begin(), log.events.end(), events.begin()));
            ++whole;
        } catch (const Error&) { // cut within an event
        }
    }
    CHECK(whole == events.size());
    file.push_back(0);
    CHECK(refusal(attest::parse_event_log, file, TPMI_ALG_HASH{TPM2_ALG_SHA256}) == Errc::malformed);
}
