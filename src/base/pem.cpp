// SPDX-License-Identifier: MIT
#include "base/pem.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <iterator>

namespace sshtpm {

namespace {

constexpr std::string_view begin_mark = "-----BEGIN ";
constexpr std::string_view end_mark = "-----END ";
constexpr std::string_view dashes = "-----";
constexpr std::size_t written_line = 64;

/// The label of a boundary line that starts with `start`.
std::optional<std::string_view> label_in(std::string_view line, std::string_view start) noexcept {
    line = line.substr(0, line.find_last_not_of(white_space) + 1);
    if (!line.starts_with(start) || !line.ends_with(dashes) || line.size() < start.size() + dashes.size())
        return std::nullopt;
    return line.substr(start.size(), line.size() - start.size() - dashes.size());
}

std::string quoted(std::string_view label) {
    return '"' + printable(label, 64) + '"';
}

/// Removes the lines up to the END line from `rest`. @returns their base64 characters
std::string take_body(std::string_view& rest, std::string_view label) {
    std::string body;
    while (!rest.empty()) {
        const auto line = take_line(rest);
        if (line.starts_with(begin_mark))
            malformed("a second PEM block begins within the first");
        if (const auto found = label_in(line, end_mark)) {
            if (*found != label)
                malformed("the PEM block " + quoted(label) + " ends as " + quoted(*found));
            return body;
        }
        if (line.find(':') != std::string_view::npos)
            malformed("headers in the PEM block, which a key of a TPM does not have");
        std::ranges::copy_if(line, std::back_inserter(body),
                             [](char c) { return white_space.find(c) == std::string_view::npos; });
    }
    malformed("the PEM block has no END line: the file is cut short");
}

} // namespace

std::optional<PrivateKeyBlock> find_private_key(std::string_view text) {
    skip_byte_order_mark(text);
    std::optional<PrivateKeyBlock> found;
    for (auto rest = text; !rest.empty();) {
        const auto at = text.size() - rest.size();
        const auto label = label_in(take_line(rest), begin_mark);
        if (!label || !label->ends_with("PRIVATE KEY"))
            continue;
        if (found)
            malformed("two private keys in one file", "give each of them a file of its own");
        found = {.label = *label, .before = text.substr(0, at), .text = text.substr(at)};
    }
    return found;
}

void refuse_without_private_key(std::string_view text) {
    if (text.find_first_not_of(white_space) == std::string_view::npos)
        malformed("the file is empty");
    while (!text.empty())
        if (const auto label = label_in(take_line(text), begin_mark))
            malformed("the file holds " + quoted(*label) + ", which is no private key");
    malformed("no private key: no line \"" + std::string(begin_mark) + "… PRIVATE KEY" + std::string(dashes) +
              '"');
}

PemBlock decode_pem(std::string_view text, std::string_view label) {
    const auto found = find_private_key(text);
    if (!found)
        refuse_without_private_key(text);
    if (found->label != label)
        malformed("the file holds " + quoted(found->label) + " instead of " + quoted(label));
    auto rest = found->text;
    take_line(rest);
    const auto body = take_body(rest, label);
    if (body.empty())
        malformed("the PEM block is empty");
    return {.before = found->before, .content = base64_decode(body), .after = rest};
}

std::string encode_pem(ByteView content, std::string_view label) {
    const auto boundary = [&](std::string_view start) {
        return std::string(start) + std::string(label) + std::string(dashes) + '\n';
    };
    const std::string body = base64_encode(content);
    std::string text = boundary(begin_mark);
    for (std::size_t at = 0; at < body.size(); at += written_line) {
        text += std::string_view(body).substr(at, written_line);
        text += '\n';
    }
    return text + boundary(end_mark);
}

} // namespace sshtpm
