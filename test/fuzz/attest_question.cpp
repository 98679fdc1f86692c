// SPDX-License-Identifier: MIT
// A question that is read is written as the same bytes, and asks for PCRs.

#include "attest/answer.hpp"
#include "fuzz/target.hpp"

using namespace sshtpm;

FUZZ_TARGET(attest_question) {
    const auto text = text_of({data, size});
    const auto question = taken(attest::Question::parse, text);
    if (!question)
        return;
    require(question->text() == text && !question->pcrs.numbers.empty() &&
            *question->pcrs.numbers.rbegin() < 24);
    require(attest::is_selection(question->pcrs.to_tpm(), question->pcrs));
}
