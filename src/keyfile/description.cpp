#include "keyfile/description.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <string>

namespace sshtpm::keyfile {

void check_description(std::string_view text) {
    if (text.size() > longest_description)
        throw Error(Errc::malformed, "text of " + std::to_string(text.size()) + " bytes where " +
                                         std::to_string(longest_description) + " are the most");
    if (!is_utf8(text))
        throw Error(Errc::malformed, "text that is not UTF-8");
    if (!is_printable(text))
        throw Error(Errc::malformed, "text with control or invisible characters: " + printable(text, 80));
    // Some readers look for the boundary anywhere, not only at the start of a line.
    if (text.find("-----BEGIN") != std::string_view::npos)
        throw Error(Errc::malformed, "text with \"-----BEGIN\" in it");
}

} // namespace sshtpm::keyfile
