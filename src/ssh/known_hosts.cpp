// SPDX-License-Identifier: MIT
#include "ssh/known_hosts.hpp"

#include "base/base64.hpp"
#include "base/lines.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/openssl.hpp"
#include "ssh/text.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace sshtpm::ssh {

namespace {

constexpr std::string_view hashed = "|1|"; // HMAC-SHA1, the only kind of hash
constexpr std::size_t sha1_size = 20;

/// OpenSSH reads a line up to its first NUL, and drops a CR in front of that.
std::string_view up_to_nul(std::string_view line) {
    const auto end = line.find('\0');
    if (end == std::string_view::npos)
        return line;
    line = line.substr(0, end);
    return take_line(line);
}

enum class Marker { none, ca, other };

/// OpenSSH ends a marker at the first space of the line, at a tab only when there is no space.
Marker take_marker(std::string_view& line) {
    if (!line.starts_with('@'))
        return Marker::none;
    const auto end = std::min(line.find(' '), line.size());
    const auto marker = end < line.size() ? line.substr(0, end) : line.substr(0, line.find('\t'));
    line.remove_prefix(marker.size());
    skip_blanks(line);
    return marker == "@cert-authority" && !line.starts_with('@') ? Marker::ca : Marker::other;
}

/// Hashes the host with the salt of `name`: "|1|SALT|HASH". @returns nothing if `name` is malformed
std::optional<std::string> hash_like(std::string_view name, std::string_view host) {
    name.remove_prefix(hashed.size());
    const auto salt_text = name.substr(0, name.find('|'));
    const auto salt = base64_decode(salt_text);
    if (salt.size() != sha1_size)
        return std::nullopt;
    std::array<std::uint8_t, sha1_size> code{};
    std::size_t length = 0;
    openssl::require(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA1", nullptr, salt.data(), salt.size(),
                               bytes_of(host).data(), host.size(), code.data(), code.size(),
                               &length) != nullptr,
                     Errc::io, "OpenSSL has no HMAC-SHA1 here");
    return std::string(hashed).append(salt_text).append("|").append(base64_encode(code));
}

bool names(std::string_view hosts, std::string_view host) {
    if (!hosts.starts_with('|'))
        return match_host(host, hosts);
    return hosts.starts_with(hashed) && hash_like(hosts, host) == hosts;
}

/// @returns nothing for an empty line and for a line about other hosts
/// @throws Error(malformed | unsupported)
std::optional<KnownHost> parse_line(std::string_view line, std::string_view host) {
    skip_blanks(line);
    if (line.empty() || line.starts_with('#'))
        return std::nullopt;
    const auto marker = take_marker(line);
    if (marker == Marker::other || !names(take_word(line), host))
        return std::nullopt;
    const auto type = take_word(line);
    auto blob = base64_decode(take_word(line));
    if (wire::Reader(blob).text() != type)
        return std::nullopt;
    describe(blob); // refuses malformed blobs
    return KnownHost{.key_blob = std::move(blob), .is_ca = marker == Marker::ca};
}

} // namespace

std::vector<KnownHost> find_known_hosts(std::string_view text, std::string_view host) {
    std::vector<KnownHost> found;
    while (!text.empty()) {
        const auto line = up_to_nul(take_line(text));
        try {
            if (auto known = parse_line(line, host))
                found.push_back(std::move(*known));
        } catch (const Error& error) { // skip the line
            if (error.code() != Errc::malformed && error.code() != Errc::unsupported)
                throw;
        }
    }
    return found;
}

} // namespace sshtpm::ssh
