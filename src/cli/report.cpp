#include "cli/report.hpp"

#include "base/printable.hpp"

#include <iostream>

namespace sshtpm::cli {

namespace {

void tell(std::string_view program, std::string_view level, const Error& error) {
    constexpr std::size_t longest = 2000;
    std::cerr << program << ": " << level << ": " << printable(error.what(), longest) << '\n';
    if (!error.hint().empty())
        std::cerr << "hint: " << printable(error.hint(), longest) << '\n';
}

} // namespace

int report(std::string_view program, const Error& error) {
    tell(program, "error", error);
    return error.code() == Errc::usage ? 2 : 1;
}

void warn(std::string_view program, const Error& error) {
    tell(program, "warning", error);
}

void finish_printing() {
    if (!std::cout.flush())
        throw Error(Errc::io, "the output could not be written",
                    "standard output is closed, full, or read by nobody");
}

} // namespace sshtpm::cli
