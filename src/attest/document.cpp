// SPDX-License-Identifier: MIT
#include "attest/document.hpp"

#include "attest/members.hpp"
#include "base/base64.hpp"
#include "base/printable.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/object_name.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace sshtpm::attest {

namespace {

namespace json = boost::json;

constexpr std::string_view request_format = "ssh-tpm-attestation-1";
constexpr std::string_view request_label = "ssh-tpm attestation request 1";
constexpr std::size_t longest_host = 255, longest_nonce = 128;

Digest digest_member(const json::object& object, std::string_view name) {
    const auto bytes = from_hex(text_member(object, name));
    Digest out{};
    if (!bytes || bytes->size() != out.size())
        malformed("\"" + std::string(name) + "\" is not a SHA-256 digest in hexadecimal");
    std::ranges::copy(*bytes, out.begin());
    return out;
}

/// The number in a field of digits.
int number_of(std::string_view digits) {
    int value = 0;
    for (const char c : digits)
        value = value * 10 + (c - '0');
    return value;
}

bool is_nonce(std::string_view nonce) {
    return nonce.size() <= longest_nonce &&
           std::ranges::all_of(nonce, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_host(std::string_view host) {
    return host.size() <= longest_host && is_printable(host);
}

void check(const Request& request) {
    if (!parse_time(request.made))
        malformed("\"made\" is not a time such as 2026-11-28T08:00:00Z");
    if (!is_host(request.host))
        malformed("\"host\" is not a printable text of at most 255 bytes");
    if (!is_nonce(request.nonce))
        malformed("\"nonce\" is not printable ASCII of at most 128 characters");
    if (request.chain.size() >= max_certificates ||
        (request.ek_certificate.empty() && !request.chain.empty()))
        malformed("a request has at most " + std::to_string(max_certificates) +
                  " certificates, that of the key first");
}

Bytes certificate_of(const json::value& value) {
    if (!value.is_string())
        malformed("a certificate of \"chain\" is not a string");
    return naming("chain", [&] { return base64_decode(value.get_string()); });
}

} // namespace

std::optional<std::chrono::sys_seconds> parse_time(std::string_view text) {
    constexpr std::string_view form = "dddd-dd-ddTdd:dd:ddZ";
    const auto fits = [](char c, char expected) {
        return expected == 'd' ? c >= '0' && c <= '9' : c == expected;
    };
    if (text.size() != form.size() || !std::ranges::equal(text, form, fits))
        return std::nullopt;
    const auto field = [&](std::size_t at, std::size_t width) { return number_of(text.substr(at, width)); };
    const std::chrono::year_month_day date{std::chrono::year(field(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(field(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(field(8, 2)))};
    const int hours = field(11, 2), minutes = field(14, 2), seconds = field(17, 2);
    if (!date.ok() || hours > 23 || minutes > 59 || seconds > 59)
        return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
           std::chrono::seconds(seconds);
}

std::string time_text(std::chrono::sys_seconds time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::array<char, 32> text{};
    const int length =
        std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ",
                      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    return {text.data(), static_cast<std::size_t>(length)};
}

Request Request::parse(std::string_view text) {
    const auto object = parse_object(text, max_request);
    require_format(object, request_format);
    const auto& ek = object_member(object, "ek");
    const auto& ak = object_member(object, "ak");
    Request request{.made = std::string(text_member(object, "made")),
                    .host = std::string(text_member(object, "host")),
                    .nonce = std::string(text_member(object, "nonce")),
                    .ek_certificate = naming("ek", [&] { return bytes_member(ek, "certificate"); }),
                    .chain = {},
                    .ek = naming("ek", [&] { return public_member(ek); }),
                    .ak = naming("ak", [&] { return public_member(ak); }),
                    .keys = certified_keys(object)};
    const auto& chain = array_member(ek, "chain");
    std::ranges::transform(chain, std::back_inserter(request.chain), certificate_of);
    check(request);
    require_same(text, request.text());
    return request;
}

std::string Request::text() const {
    json::array certificates;
    for (const auto& certificate : chain)
        certificates.emplace_back(base64_encode(certificate));
    return line_of({{"format", request_format},
                    {"made", made},
                    {"host", host},
                    {"nonce", nonce},
                    {"ek", json::object{{"certificate", base64_encode(ek_certificate)},
                                        {"chain", std::move(certificates)},
                                        {"public", base64_encode(keyfile::marshal_public(ek))}}},
                    {"ak", json::object{{"public", base64_encode(keyfile::marshal_public(ak))}}},
                    {"keys", to_json(keys)}});
}

Digest qualifying_data(const Request& request, ByteView ssh_blob) {
    return sha256(wire::Writer()
                      .text(request_label)
                      .text(request.made)
                      .text(request.host)
                      .text(request.nonce)
                      .string(keyfile::object_name(request.ek))
                      .string(ssh_blob)
                      .bytes());
}

Sealed Sealed::parse(std::string_view text) {
    const auto object = parse_object(text, max_sealed);
    require_format(object, sealed_format);
    Sealed sealed{.request = digest_member(object, "request"),
                  .credential = bytes_member(object, "credential"),
                  .box = bytes_member(object, "box")};
    require_same(text, sealed.text());
    return sealed;
}

std::string Sealed::text() const {
    return line_of({{"format", sealed_format},
                    {"request", hex(request)},
                    {"credential", base64_encode(credential)},
                    {"box", base64_encode(box)}});
}

void require_host(std::string_view host) {
    if (!is_host(host))
        throw Error(Errc::usage, "a host is a printable text of at most 255 bytes");
}

void require_nonce(std::string_view nonce) {
    if (!is_nonce(nonce))
        throw Error(Errc::usage, "a nonce is printable ASCII of at most 128 characters");
}

} // namespace sshtpm::attest
