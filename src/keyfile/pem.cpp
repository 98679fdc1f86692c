#include "keyfile/pem.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <optional>

namespace sshtpm::keyfile {

namespace {

constexpr std::string_view begin = "-----BEGIN ";
constexpr std::string_view end = "-----END ";
constexpr std::string_view dashes = "-----";
constexpr std::size_t longest_body_line = 76;
constexpr std::size_t written_line = 64;

/// The label of a boundary line that starts with `start`.
std::optional<std::string_view> label_in(std::string_view line, std::string_view start) noexcept {
    if (!line.starts_with(start) || !line.ends_with(dashes) || line.size() < start.size() + dashes.size())
        return std::nullopt;
    return line.substr(start.size(), line.size() - start.size() - dashes.size());
}

std::string quoted(std::string_view label) {
    return '"' + printable(label, 64) + '"';
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Removes the explanatory text and the BEGIN line from `rest`. @returns the explanatory text
std::string_view take_preamble(std::string_view& rest, std::string_view label) {
    const auto text = rest;
    while (!rest.empty()) {
        const std::size_t length = text.size() - rest.size();
        const auto found = label_in(take_line(rest), begin);
        if (found && *found != label)
            malformed("the file holds " + quoted(*found) + " instead of " + quoted(label));
        if (found)
            return text.substr(0, length);
    }
    malformed("not a PEM file: no line \"" + std::string(begin) + std::string(label) + std::string(dashes) +
              '"');
}

void check_body_line(std::string_view line) {
    if (line.empty())
        malformed("an empty line in the PEM block");
    if (line.find(':') != std::string_view::npos)
        malformed("headers in the PEM block, which a key of a TPM does not have");
    if (line.size() > longest_body_line)
        malformed("a line of more than " + std::to_string(longest_body_line) +
                  " characters in the PEM block");
}

/// Removes the lines up to the END line from `rest`. @returns them joined
std::string take_body(std::string_view& rest, std::string_view label) {
    std::string body;
    while (!rest.empty()) {
        const auto line = take_line(rest);
        if (line.starts_with(begin))
            malformed("a second PEM block begins within the first");
        if (const auto found = label_in(line, end)) {
            if (*found != label)
                malformed("the PEM block " + quoted(label) + " ends as " + quoted(*found));
            return body;
        }
        check_body_line(line);
        body += line;
    }
    malformed("the PEM block has no END line: the file is cut short");
}

} // namespace

std::optional<std::string_view> first_label(std::string_view text) noexcept {
    while (!text.empty())
        if (const auto label = label_in(take_line(text), begin))
            return label;
    return std::nullopt;
}

PemBlock decode_pem(std::string_view text, std::string_view label) {
    if (is_blank(text))
        malformed("the file is empty");
    auto rest = text;
    const auto preamble = take_preamble(rest, label);
    const auto body = take_body(rest, label);
    if (body.empty())
        malformed("the PEM block is empty");
    if (rest.find(begin) != std::string_view::npos)
        malformed("more than one PEM block");
    if (!is_blank(rest))
        malformed("text behind the PEM block");
    return {preamble, base64_decode(body)};
}

std::string encode_pem(ByteView content, std::string_view label) {
    const auto boundary = [&](std::string_view start) {
        return std::string(start) + std::string(label) + std::string(dashes) + '\n';
    };
    const std::string body = base64_encode(content);
    std::string text = boundary(begin);
    for (std::size_t at = 0; at < body.size(); at += written_line) {
        text += std::string_view(body).substr(at, written_line);
        text += '\n';
    }
    return text + boundary(end);
}

} // namespace sshtpm::keyfile
