#include "cli/report.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"

#include <iostream>

namespace sshtpm::cli {

namespace {

void tell(std::string_view program, log::Level level, std::string_view word, const Error& error) {
    constexpr std::size_t longest = 2000;
    const auto prefix = log::journal_prefix(level);
    std::cerr << prefix << program << ": " << word << ": " << printable(error.what(), longest) << '\n';
    if (!error.hint().empty())
        std::cerr << prefix << "hint: " << printable(error.hint(), longest) << '\n';
}

} // namespace

int report(std::string_view program, const Error& error) {
    tell(program, log::Level::error, "error", error);
    return error.code() == Errc::usage ? 2 : 1;
}

void warn(std::string_view program, const Error& error) {
    tell(program, log::Level::warning, "warning", error);
}

void finish_printing() {
    if (!std::cout.flush())
        throw Error(Errc::io, "the output could not be written",
                    "standard output is closed, full, or read by nobody");
}

} // namespace sshtpm::cli
