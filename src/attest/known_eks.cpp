// SPDX-License-Identifier: MIT
#include "attest/known_eks.hpp"

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "keyfile/object_name.hpp"
#include "ssh/text.hpp"

#include <algorithm>

namespace sshtpm::attest {

namespace {

/// The list without its commas.
std::vector<std::string> split_principals(std::string_view list) {
    std::vector<std::string> principals;
    while (!list.empty()) {
        const bool ends_early = list.ends_with(',');
        const auto principal = take_item(list, ',');
        if (principal.empty() || ends_early || !is_printable(principal))
            malformed("an empty or unprintable principal");
        principals.emplace_back(principal);
    }
    return principals;
}

KnownEk parse_line(std::string_view line) {
    auto name = from_hex(ssh::take_word(line));
    if (!name || !keyfile::is_object_name(*name))
        malformed(
            "not the Name of an endorsement key",
            "`ssh-tpm attest request` shows it: small hexadecimal digits that begin with 000b, 000c or 000d");
    auto principals = split_principals(ssh::take_word(line));
    if (!line.empty())
        malformed("a third word; principals are separated by commas");
    return {std::move(*name), std::move(principals)};
}

} // namespace

std::vector<KnownEk> parse_known_eks(std::string_view text) {
    std::vector<KnownEk> known;
    skip_byte_order_mark(text);
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto line = take_line(text);
        ssh::skip_blanks(line);
        if (!line.empty() && !line.starts_with('#'))
            naming("line " + std::to_string(number), [&] {
                auto ek = parse_line(line);
                if (find_ek(known, ek.name) != nullptr)
                    malformed("this endorsement key has a line already");
                known.push_back(std::move(ek));
            });
    }
    return known;
}

const KnownEk* find_ek(const std::vector<KnownEk>& known, ByteView name) {
    const auto found = std::ranges::find_if(known, [&](const KnownEk& ek) { return equal(ek.name, name); });
    return found == known.end() ? nullptr : &*found;
}

} // namespace sshtpm::attest
