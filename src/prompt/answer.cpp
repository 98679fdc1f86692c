#include "prompt/answer.hpp"

#include <algorithm>
#include <strings.h>

namespace sshtpm::prompt {

void keep_first_line(Secret& answer) {
    const auto text = text_of(answer.view());
    answer.truncate(std::min(text.find_first_of("\r\n"), text.size()));
}

bool is_permission(ByteView output) {
    auto line = text_of(output);
    if (line.ends_with('\n'))
        line.remove_suffix(1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    constexpr std::string_view yes = "yes";
    return line.empty() || (line.size() == yes.size() && ::strncasecmp(line.data(), yes.data(), 3) == 0);
}

std::string_view in_words(Confirmation outcome) {
    switch (outcome) {
    case Confirmation::unanswered:
        break;
    case Confirmation::no:
        return "a person did not allow";
    case Confirmation::yes:
        return "a person allowed";
    case Confirmation::nobody:
        return "nobody is there to allow";
    case Confirmation::failed:
        return "the askpass program could not ask about";
    }
    return "no answer came about";
}

} // namespace sshtpm::prompt
