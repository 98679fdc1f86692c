// SPDX-License-Identifier: MIT
#include "attest/members.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"

#include <utility>

namespace sshtpm::attest {

namespace {

namespace json = boost::json;

const json::value& member(const json::object& object, std::string_view name) {
    const auto* const found = object.if_contains(name);
    if (found == nullptr)
        malformed("the member \"" + std::string(name) + "\" is missing");
    return *found;
}

} // namespace

json::object parse_object(std::string_view text, std::size_t most) {
    if (text.size() > most)
        malformed("a document of more than " + std::to_string(most / 1024) + " KiB");
    boost::system::error_code error;
    auto value = json::parse(text, error);
    if (error || !value.is_object())
        malformed("not a JSON object");
    return std::move(value.get_object());
}

std::string_view text_member(const json::object& object, std::string_view name) {
    const auto* const text = member(object, name).if_string();
    if (text == nullptr)
        malformed("\"" + std::string(name) + "\" is not a string");
    return *text;
}

Bytes bytes_member(const json::object& object, std::string_view name) {
    const auto text = text_member(object, name);
    return naming(name, [&] { return base64_decode(text); });
}

const json::object& object_member(const json::object& object, std::string_view name) {
    const auto* const found = member(object, name).if_object();
    if (found == nullptr)
        malformed("\"" + std::string(name) + "\" is not an object");
    return *found;
}

const json::array& array_member(const json::object& object, std::string_view name) {
    const auto* const found = member(object, name).if_array();
    if (found == nullptr)
        malformed("\"" + std::string(name) + "\" is not an array");
    return *found;
}

std::vector<Bytes> pcr_values_member(const json::object& object, std::string_view name) {
    constexpr std::size_t most_pcrs = 24, longest_value = 64;
    const auto& texts = array_member(object, name);
    if (texts.size() > most_pcrs)
        malformed("more PCRs than a TPM has");
    std::vector<Bytes> values;
    for (const auto& text : texts) {
        auto value = text.is_string() ? from_hex(text.get_string()) : std::nullopt;
        if (!value || value->size() > longest_value)
            malformed("the value of a PCR is not hexadecimal");
        values.push_back(std::move(*value));
    }
    return values;
}

void require_format(const json::object& object, std::string_view format) {
    if (text_member(object, "format") != format)
        malformed("the format is not " + std::string(format));
}

void require_same(std::string_view text, std::string_view written) {
    if (text != written)
        malformed("the document is not in the form that ssh-tpm writes",
                  "give the file as it was made; a program that formats JSON changes it");
}

std::string line_of(const json::object& object) {
    return json::serialize(object) + '\n';
}

} // namespace sshtpm::attest
