// SPDX-License-Identifier: MIT
#include "applets/host_certificate.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/shell_word.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/certificate.hpp"
#include "ssh/sshd_settings.hpp"
#include "ssh/text.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Finding;
using cli::Verdict;

constexpr std::string_view sha1_signature = "ssh-rsa";
constexpr std::chrono::hours week(7 * 24);

/// Local time, as ssh-keygen -L shows it. @param seconds since 1970
std::string date_of(std::uint64_t seconds) {
    constexpr std::uint64_t year_9999 = 253402300799;
    const auto time = static_cast<std::time_t>(std::min(seconds, year_9999));
    std::tm parts{};
    std::array<char, 32> text{};
    ::localtime_r(&time, &parts);
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts)};
}

Finding finding_of(Verdict verdict, std::string text, std::string hint = {}) {
    return {.verdict = verdict, .check = {}, .subject = {}, .text = std::move(text), .hint = std::move(hint)};
}

/// @returns the reason why clients refuse a certificate whose time has begun (sshkey_cert_check_host in
///     sshkey.c of OpenSSH); empty if they accept it
std::string refusal_of(const ssh::CertificateBlob& certificate, std::chrono::system_clock::time_point now) {
    if (certificate.has_expired(now))
        return "expired at " + date_of(certificate.valid_before);
    if (certificate.has_critical_options)
        return "it has critical options, and none is defined for hosts";
    if (certificate.signature_algorithm == sha1_signature)
        return "signed with ssh-rsa (SHA-1), which OpenSSH refuses from 8.2 on";
    return {};
}

/// @returns a warning about the principals; empty if they fit
std::string principal_warning(const ssh::CertificateBlob& certificate, const HostNames& names) {
    const auto& principals = certificate.principals;
    if (principals.empty())
        return "no principals: OpenSSH refuses it from 10.3 on, and takes it for every host before";
    if (names.empty())
        return {};
    const auto any = [&](const auto& accepts) {
        return std::ranges::any_of(principals, [&](std::string_view principal) {
            return std::ranges::any_of(names, [&](const auto& name) { return accepts(name, principal); });
        });
    };
    const bool knows_domain =
        std::ranges::any_of(names, [](const std::string& name) { return name.find('.') != name.npos; });
    const auto is_name = [&](const std::string& name, std::string_view principal) {
        return principal == name || (!knows_domain && principal.starts_with(name + '.')); // as in the DNS
    };
    if (any(is_name))
        return {};
    if (any(ssh::match_pattern))
        return "its principals are patterns (" + joined(principals) + "), which OpenSSH knows from 10.3 on";
    return "none of its principals (" + joined(principals) + ") is a name of this host (" + joined(names) +
           ")";
}

} // namespace

std::vector<HostAlgorithm> host_algorithms(std::string_view type) {
    if (type == ssh::info(ssh::KeyType::rsa).name) {
        std::vector<HostAlgorithm> out;
        for (const auto& algorithm : ssh::algorithms_of(ssh::KeyType::rsa))
            out.push_back({.name = std::string(algorithm.name),
                           .certified = std::string(algorithm.name) + "-cert-v01@openssh.com"});
        return out;
    }
    const auto* const format = ssh::key_format_named(type);
    return {{.name = std::string(type),
             .certified = format == nullptr ? "" : std::string(format->certificate_name)}};
}

HostCertificate read_host_certificate(const std::string& path) {
    auto line = ssh::AuthorizedKey::read(path);
    if (!ssh::is_certificate(line.blob))
        malformed("a key, not a certificate");
    const auto fields = ssh::read_certificate(line.blob);
    if (fields.role != ssh::host_role)
        malformed("a user's certificate, not a host's");
    if (fields.signature_algorithm != sha1_signature) // which this program cannot verify
        if (const auto reason = ssh::spoils_list(line.blob))
            malformed(*reason);
    return {.type = std::string(fields.format->name),
            .blob = std::move(line.blob),
            .key_blob = fields.plain_blob};
}

std::string sign_command(const HostNames& names, const std::string& public_key) {
    return "`ssh-keygen -s CA -h -I ID -n " + (names.empty() ? "NAME" : joined(names)) + " " +
           shell_word(public_key) + "`";
}

std::vector<Finding> judge_host_certificate(const HostCertificate& certificate, const HostNames& names,
                                            const std::string& public_key) {
    const auto fields = ssh::read_certificate(certificate.blob);
    const auto sign_again = sign_command(names, public_key);
    const auto now = std::chrono::system_clock::now();
    if (!fields.has_begun(now))
        return {finding_of(Verdict::fail, "not valid before " + date_of(fields.valid_after),
                           "check the clock of this host; if it is right, " + sign_again)};
    if (auto refusal = refusal_of(fields, now); !refusal.empty())
        return {finding_of(Verdict::fail, std::move(refusal), sign_again)};
    std::vector<Finding> out;
    const bool ends = fields.valid_before != ssh::Certificate::forever;
    const auto end = date_of(fields.valid_before);
    if (fields.has_expired(now + week))
        out.push_back(finding_of(Verdict::warn, "expires within a week, at " + end, sign_again));
    if (auto warning = principal_warning(fields, names); !warning.empty())
        out.push_back(finding_of(Verdict::warn, std::move(warning), sign_again));
    if (out.empty())
        out.push_back(finding_of(Verdict::ok, "for " + joined(fields.principals) + ", valid " +
                                                  (ends ? "until " + end : "without end")));
    return out;
}

std::vector<Finding> judge_certificate_of(const std::string& base, const HostNames& names) {
    const auto pub = base + ".pub", path = base + "-cert.pub";
    try { // caught to report it
        const auto certificate = read_host_certificate(path);
        if (!equal(certificate.key_blob, ssh::AuthorizedKey::read(pub).blob))
            return {finding_of(Verdict::fail, "of another key", sign_command(names, pub))};
        return judge_host_certificate(certificate, names, pub);
    } catch (const Error& error) {
        std::error_code ignored;
        const std::string move =
            fs::exists(path, ignored) && !fs::is_regular_file(path, ignored) ? "move it away, and then " : "";
        return {cli::finding_of_error(Verdict::fail, "", path, error, move + sign_command(names, pub))};
    }
}

} // namespace sshtpm::applets
