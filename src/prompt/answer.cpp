#include "prompt/answer.hpp"

#include <strings.h>

namespace sshtpm::prompt {

void cut_newline(Secret& answer) {
    const auto bytes = answer.view();
    if (!bytes.empty() && bytes.back() == '\n')
        answer.truncate(bytes.size() - 1);
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

} // namespace sshtpm::prompt
