#include "ssh/authorized_key.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <utility>

namespace sshtpm::ssh {

namespace {

/// Characters that some readers take for the end of a line.
constexpr std::string_view line_ends("\r\n\0", 3);

void require_one_line(std::string_view text) {
    if (text.find_first_of(line_ends) != std::string_view::npos)
        malformed("the end of a line within the comment of a public key");
}

std::string_view first_key_line(std::string_view text) {
    skip_byte_order_mark(text);
    while (!text.empty()) {
        auto line = take_line(text);
        skip_blanks(line);
        if (!line.empty() && line.front() != '#')
            return line;
    }
    malformed("no public key in the text");
}

} // namespace

AuthorizedKey AuthorizedKey::parse(std::string_view text) {
    auto rest = first_key_line(text);
    require_one_line(rest);
    const auto type = take_word(rest);
    auto blob = base64_decode(take_word(rest));
    if (wire::Reader(blob).text() != type)
        malformed("the type in front of a public key differs from the type inside it");
    return {std::string(type), std::move(blob), std::string(rest)};
}

AuthorizedKey AuthorizedKey::parse_only_line(std::string_view text) {
    auto key = parse(text);
    bool found = false;
    while (!text.empty()) {
        auto line = take_line(text);
        skip_blanks(line);
        if (!line.empty() && std::exchange(found, true))
            malformed("holds other lines beside a public key");
    }
    return key;
}

AuthorizedKey AuthorizedKey::of(const PublicKey& key, std::string comment) {
    return {std::string(info(key.type()).name), copy_of(key.blob()), std::move(comment)};
}

std::string AuthorizedKey::line() const {
    require_one_line(comment);
    auto text = type + " " + base64_encode(blob);
    if (!comment.empty())
        text += " " + comment;
    return text + "\n";
}

} // namespace sshtpm::ssh
