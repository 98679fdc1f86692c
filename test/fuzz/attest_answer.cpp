// SPDX-License-Identifier: MIT
// An answer that is read is written as the same bytes. One that is proven has the PCRs that were asked for,
// and is no answer to another question or for another host key.

#include "attest/answer.hpp"
#include "fuzz/target.hpp"

using namespace sshtpm;

namespace {

constexpr std::string_view asked = "ssh-tpm-attest-1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= "
                                   "sha256:0,1,2,3,4,5,6,7,8,9,11,12\n";

} // namespace

FUZZ_TARGET(attest_answer) {
    const auto text = text_of({data, size});
    const auto answer = taken(attest::Answer::parse, text);
    if (!answer)
        return;
    require(answer->text() == text);
    const auto question = attest::Question::parse(asked);
    const auto& host_key = answer->keys[0].ssh.blob();
    const auto boot = taken(attest::verify, *answer, question, host_key);
    if (!boot)
        return;
    require(boot->pcrs.size() == question.pcrs.numbers.size());
    require(!taken(attest::verify, *answer, attest::Question::fresh(question.pcrs), host_key));
    require(!taken(attest::verify, *answer, question, ByteView(host_key).subspan(1)));
}
