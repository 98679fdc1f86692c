#include "cli/report.hpp"

#include "base/printable.hpp"

#include <iostream>

namespace sshtpm::cli {

int report(std::string_view program, const Error& error) {
    constexpr std::size_t longest = 2000;
    std::cerr << program << ": error: " << printable(error.what(), longest) << '\n';
    if (!error.hint().empty())
        std::cerr << "hint: " << printable(error.hint(), longest) << '\n';
    return error.code() == Errc::usage ? 2 : 1;
}

} // namespace sshtpm::cli
