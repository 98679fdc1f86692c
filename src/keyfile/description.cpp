#include "keyfile/description.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <string>

namespace sshtpm::keyfile {

void check_description(std::string_view text) {
    if (text.size() > longest_description)
        malformed("text of " + std::to_string(text.size()) + " bytes where " +
                  std::to_string(longest_description) + " are the most");
    if (!is_utf8(text))
        malformed("text that is not UTF-8");
    if (!is_printable(text))
        malformed("text with control or invisible characters: " + printable(text, 80));
    // Some readers of PEM look for this anywhere, not only at the start of a line.
    if (text.find("-----BEGIN") != std::string_view::npos)
        malformed("text with \"-----BEGIN\" in it");
}

} // namespace sshtpm::keyfile
