// SPDX-License-Identifier: MIT
#include "applets/sshd_drop_in.hpp"

#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/log.hpp"
#include "cli/report.hpp"
#include "ssh/authorized_key.hpp"
#include "ssh/certificate.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view agent_word = "HostKeyAgent ", key_word = "HostKey ";

/// The embedded file: for the agent of the keys in files, without certificates.
std::string_view usual_text() {
    for (const auto& file : installed_files())
        if (file.name.starts_with("sshd/"))
            return file.text;
    throw Error(Errc::not_found, "no file for sshd in this program");
}

std::string agent_line(const fs::path& socket) {
    return std::string(agent_word) + socket.string() + '\n';
}

/// sshd logs each HostKey without a file, at each login. The line that takes its place is not one that a
/// person would write, who leaves a key out.
std::string missing_key_line(std::string_view key) {
    return "# There was no " + std::string(key) + ".pub.\n";
}

std::string certificate_line(std::string_view key) {
    return "HostCertificate " + std::string(key) + "-cert.pub\n";
}

/// The text that earlier versions wrote. Their HostKey lines named the .pub files, and sshd warned of the
/// mode of these files at each login.
std::string former_text() {
    constexpr std::string_view end = "_key\n";
    auto text = usual_text();
    std::string out;
    for (std::size_t at = 0; (at = text.find(end)) != text.npos; text.remove_prefix(at + end.size()))
        out.append(text.substr(0, at)).append("_key.pub\n");
    return out.append(text);
}

/// Whether the text is one for this agent.
bool is_drop_in_for(std::string_view text, const fs::path& socket) {
    const auto take = [&text](const std::string& line) {
        const bool found = text.starts_with(line);
        text.remove_prefix(found ? line.size() : 0);
        return found;
    };
    for (auto rest = usual_text(); !rest.empty();) {
        const auto line = take_line(rest);
        const auto whole = std::string(line) + '\n';
        const auto key = line.substr(std::min(key_word.size(), line.size()));
        if (line.starts_with(agent_word) ? take(agent_line(socket)) : take(whole)) {
            if (line.starts_with(key_word))
                take(certificate_line(key));
        } else if (!line.starts_with(key_word) || !take(missing_key_line(key)))
            return false;
    }
    return text.empty();
}

/// @throws Error for a certificate that clients would refuse
void require_certificate(const std::string& path, const std::string& pub) {
    const auto anew = "have " + pub + " signed again, and run this command again";
    const auto certificate = ssh::Certificate::from_blob(ssh::AuthorizedKey::read(path).blob);
    const auto now = std::chrono::system_clock::now();
    if (!equal(certificate.public_key.blob(), ssh::AuthorizedKey::read(pub).blob))
        throw Error(Errc::refused, "it is the certificate of another key", anew);
    if (!certificate.is_for_host)
        throw Error(Errc::refused, "it is a user's certificate, not a host's",
                    "sign it with `ssh-keygen -h`");
    if (certificate.has_expired(now))
        throw Error(Errc::refused, "it has expired", anew);
    if (!certificate.has_begun(now))
        throw Error(Errc::refused, "it is not valid yet",
                    "run this command again when it is, or check the clock");
}

bool has_certificate(const std::string& key) {
    const auto pub = destdir() + key + ".pub", path = destdir() + key + "-cert.pub";
    if (!is_there(path))
        return false;
    try { // caught because sshd works without it
        require_certificate(path, pub);
        return true;
    } catch (const Error& error) {
        const std::string what = error.what();
        cli::warn(log::program(),
                  Error(error.code(),
                        (what.starts_with(path) ? what : path + ": " + what) + "; sshd does not get it",
                        error.hint()));
        return false;
    }
}

} // namespace

fs::path agent_socket(const std::optional<tpm::Hierarchy>& hierarchy) {
    return hierarchy ? fs::path(system_socket).replace_filename(std::string(hierarchy->name) + ".sock")
                     : fs::path(system_socket);
}

SshdDropIn make_sshd_drop_in(const std::optional<tpm::Hierarchy>& hierarchy) {
    SshdDropIn out{.socket = agent_socket(hierarchy), .host_keys = {}, .text = {}};
    std::vector<std::string> keys;
    for (auto rest = usual_text(); !rest.empty();)
        if (const auto line = take_line(rest); line.starts_with(key_word))
            keys.emplace_back(line.substr(key_word.size()));
    const auto has_file = [](const std::string& key) { return is_there(destdir() + key + ".pub"); };
    const bool none = std::ranges::none_of(keys, has_file);
    for (auto rest = usual_text(); !rest.empty();) {
        const auto line = take_line(rest);
        if (line.starts_with(agent_word)) {
            out.text += agent_line(out.socket);
        } else if (!line.starts_with(key_word)) {
            out.text.append(line).append("\n");
        } else if (std::string key(line.substr(key_word.size())); none || has_file(key)) {
            out.text.append(line).append("\n");
            if (has_certificate(key))
                out.text += certificate_line(key);
            out.host_keys.push_back(std::move(key));
        } else {
            out.text += missing_key_line(key);
        }
    }
    return out;
}

bool is_sshd_drop_in(std::string_view text) {
    const auto is_for_hierarchy = [text](const tpm::Hierarchy& hierarchy) {
        return is_drop_in_for(text, agent_socket(hierarchy));
    };
    return is_drop_in_for(text, agent_socket({})) ||
           std::ranges::any_of(tpm::hierarchies, is_for_hierarchy) || text == former_text();
}

} // namespace sshtpm::applets
