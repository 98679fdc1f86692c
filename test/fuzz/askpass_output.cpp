// SPDX-License-Identifier: MIT
// What an askpass program prints, as it comes in, in pieces: an answer, and a verdict.

#include "fuzz/target.hpp"
#include "prompt/askpass.hpp"

#include <algorithm>
#include <string>
#include <strings.h>

namespace {

using namespace sshtpm;

void check_answer(ByteView output, std::size_t piece) {
    Secret answer(prompt::max_answer);
    bool fits = true;
    for (auto rest = output; fits && !rest.empty();) {
        const auto next = rest.first(std::min(piece, rest.size()));
        fits = answer.append(next);
        rest = rest.subspan(next.size());
    }
    require(fits == (output.size() <= prompt::max_answer));
    if (!fits)
        return;
    prompt::keep_first_line(answer);
    std::string line(text_of(output)); // as OpenSSH does it
    line.resize(std::min(line.find_first_of("\r\n"), line.size()));
    require(text_of(answer.view()) == line);
}

/// Whatever is a yes here is one in OpenSSH too (ask_permission): the first line, empty or "yes".
void check_verdict(ByteView output) {
    if (!prompt::is_permission(output))
        return;
    std::string line(text_of(output));
    line = line.substr(0, line.find_first_of(std::string_view("\r\n\0", 3)));
    require(line.empty() || ::strcasecmp(line.c_str(), "yes") == 0);
}

} // namespace

FUZZ_TARGET(askpass_output) {
    const ByteView input(data, size);
    if (input.empty())
        return;
    const auto output = input.subspan(1);
    check_answer(output, input.front() + 1U);
    check_verdict(output);
}
