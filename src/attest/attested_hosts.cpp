// SPDX-License-Identifier: MIT
#include "attest/attested_hosts.hpp"

#include "attest/members.hpp"
#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/staged_file.hpp"
#include "base/time_limits.hpp"

#include <cstdint>

namespace sshtpm::attest {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t largest_file = std::size_t{256} * 1024 * 1024;
constexpr std::size_t longest_line = 2 * max_answer;

Bytes hex_member(const json::object& object, std::string_view name) {
    auto bytes = from_hex(text_member(object, name));
    if (!bytes)
        malformed("\"" + std::string(name) + "\" is not hexadecimal");
    return std::move(*bytes);
}

std::string record_line(const AttestedHost& host) {
    json::array values;
    for (const auto& [number, value] : host.pcrs)
        values.emplace_back(hex(value));
    return line_of(json::object{{"host", host.host},
                                {"ak", hex(host.ak_name)},
                                {"key", base64_encode(host.host_key)},
                                {"pcrs", host.selection.text()},
                                {"values", std::move(values)},
                                {"resets", host.reset_count},
                                {"eventlog", base64_encode(host.event_log)}});
}

std::uint32_t resets_member(const json::object& object) {
    const auto* const count = object.if_contains("resets");
    if (count == nullptr || !count->is_int64() || count->get_int64() < 0 || count->get_int64() > UINT32_MAX)
        malformed("\"resets\" is not a number");
    return static_cast<std::uint32_t>(count->get_int64());
}

AttestedHost parse_host(std::string_view line) {
    const auto object = parse_object(line, longest_line);
    AttestedHost host{.host = std::string(text_member(object, "host")),
                      .ak_name = hex_member(object, "ak"),
                      .host_key = bytes_member(object, "key"),
                      .selection = PcrSelection::parse(text_member(object, "pcrs")),
                      .pcrs = {},
                      .reset_count = resets_member(object),
                      .event_log = bytes_member(object, "eventlog")};
    host.pcrs = host.selection.numbered(pcr_values_member(object, "values"));
    if (host.host.empty() || !is_printable(host.host))
        malformed("\"host\" is not a name");
    require_same(std::string(line) + '\n', record_line(host)); // or the next change would lose something
    return host;
}

/// True for a boot of which nothing is accepted any more: of another TPM of this host, or of the same host
/// key and PCRs, or with another value of a PCR.
bool is_replaced_by(const AttestedHost& boot, const AttestedHost& old) {
    if (old.host != boot.host)
        return false;
    if (old.ak_name != boot.ak_name)
        return true;
    return old.host_key == boot.host_key && old.selection.bank == boot.selection.bank &&
           (old.selection == boot.selection || std::ranges::any_of(old.pcrs, [&](const auto& pcr) {
                const auto now = boot.pcrs.find(pcr.first);
                return now != boot.pcrs.end() && now->second != pcr.second;
            }));
}

} // namespace

std::vector<AttestedHost> parse_attested_hosts(std::string_view text) {
    std::vector<AttestedHost> hosts;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto line = take_line(text);
        if (!line.empty())
            hosts.push_back(naming("line " + std::to_string(number), [&] { return parse_host(line); }));
    }
    return hosts;
}

std::string attested_hosts_text(const std::vector<AttestedHost>& hosts) {
    std::string text;
    for (const auto& host : hosts)
        text += record_line(host);
    return text;
}

std::vector<AttestedHost> read_attested_hosts(const fs::path& file) {
    if (!is_there(file))
        return {};
    const auto content = read_file(file, largest_file);
    return naming(file.string(), [&] { return parse_attested_hosts(text_of(content)); });
}

void record_host(const fs::path& file, const AttestedHost& boot) {
    const auto folder = file.parent_path();
    make_folders(folder, 0700);
    const auto lock = lock_folder(folder, time_limits().known_tpms_lock);
    if (!lock)
        throw Error(Errc::io, folder.string() + ": another program has locked this folder");
    auto hosts = read_attested_hosts(file); // as it is now
    std::erase_if(hosts, [&](const auto& host) { return is_replaced_by(boot, host); });
    hosts.push_back(boot);
    write_file(file, bytes_of(attested_hosts_text(hosts)), 0600, Existing::replace);
}

} // namespace sshtpm::attest
