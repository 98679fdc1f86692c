// SPDX-License-Identifier: MIT
#include "applets/sshd_drop_in.hpp"

#include "applets/host_certificate.hpp"
#include "applets/host_units.hpp"
#include "applets/installation.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/report.hpp"
#include "os/host_names.hpp"

#include <algorithm>
#include <iostream>
#include <span>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view agent_word = "HostKeyAgent ", key_word = "HostKey ",
                           certificate_word = "HostCertificate ", subsystem_word = "Subsystem ";

/// The embedded file: for the agent of the keys in files, without certificates, and without the program's
/// path.
std::string_view usual_text() {
    for (const auto& file : installed_files())
        if (file.name.starts_with("sshd/"))
            return file.text;
    throw Error(Errc::not_found, "no file for sshd in this program");
}

/// The host keys of the embedded file.
std::vector<std::string> usual_keys() {
    std::vector<std::string> keys;
    for (auto rest = usual_text(); !rest.empty();)
        if (const auto line = take_line(rest); line.starts_with(key_word))
            keys.emplace_back(line.substr(key_word.size()));
    return keys;
}

/// The line of the subsystem.
std::string subsystem_line(const std::string& program) {
    constexpr std::string_view placeholder = "@PROGRAM@";
    for (auto rest = usual_text(); !rest.empty();)
        if (std::string line(take_line(rest)); line.starts_with(subsystem_word))
            return line.replace(line.find(placeholder), placeholder.size(), '"' + program + '"');
    throw Error(Errc::not_found, "no subsystem in the file for sshd in this program");
}

/// The program of a text's subsystem; empty if the text has none, or the line is not one of ours.
std::string program_in(std::string_view text) {
    while (!text.empty()) {
        const auto line = take_line(text);
        const auto first = line.find('"'), last = line.rfind('"');
        if (!line.starts_with(subsystem_word) || first >= last)
            continue;
        std::string program(line.substr(first + 1, last - first - 1));
        if (is_path_for_sshd(program) && line == subsystem_line(program))
            return program;
    }
    return {};
}

/// The lines of a host key.
enum class KeyLines {
    missing, ///< a comment, because sshd logs a HostKey without a file at each login
    plain,
    certified,
};

/// The text of the file for an agent.
/// @param keys one for each of `usual_keys` @param program empty: without the subsystem
std::string render(const fs::path& socket, std::span<const KeyLines> keys, const std::string& program) {
    std::string out;
    for (auto rest = usual_text(); !rest.empty();) {
        const auto line = take_line(rest);
        if (line.starts_with(agent_word)) {
            out.append(agent_word).append(socket.string());
        } else if (line.starts_with(subsystem_word)) {
            if (program.empty())
                continue;
            out.append(subsystem_line(program));
        } else if (!line.starts_with(key_word)) {
            out.append(line);
        } else {
            const auto key = line.substr(key_word.size());
            if (keys.front() == KeyLines::missing)
                out.append("# There was no ").append(key).append(".pub.");
            else
                out.append(line);
            if (keys.front() == KeyLines::certified)
                out.append("\n").append(certificate_word).append(key).append("-cert.pub");
            keys = keys.subspan(1);
        }
        out += '\n';
    }
    return out;
}

/// Goes to the next combination. @returns false after the last one
bool next(std::span<KeyLines> keys) {
    for (auto& lines : keys) {
        if (lines != KeyLines::certified) {
            lines = lines == KeyLines::missing ? KeyLines::plain : KeyLines::certified;
            return true;
        }
        lines = KeyLines::missing;
    }
    return false;
}

/// Whether the text is one for this agent.
bool is_drop_in_for(std::string_view text, const fs::path& socket) {
    std::vector<KeyLines> keys(usual_keys().size(), KeyLines::missing);
    const auto program = program_in(text);
    do {
        if (text == render(socket, keys, program))
            return true;
    } while (next(keys));
    return false;
}

/// The hierarchy of the agent that a drop-in names.
std::optional<tpm::Hierarchy> hierarchy_of(std::string_view text) {
    const auto found = std::ranges::find_if(tpm::hierarchies, [text](const tpm::Hierarchy& hierarchy) {
        return is_drop_in_for(text, host_agent_socket(hierarchy));
    });
    return found == tpm::hierarchies.end() ? std::nullopt : std::optional(*found);
}

/// The text of the installed file; empty if there is none, or somebody has changed it.
std::string unchanged_drop_in() {
    constexpr std::size_t most = std::size_t{1024} * 1024;
    const auto path = destdir() + sshd_drop_in_path;
    if (!is_there(path))
        return {};
    const auto content = read_file(path, most);
    const auto text = text_of(content);
    return is_sshd_drop_in(text) ? std::string(text) : std::string();
}

/// The same, and empty if the file cannot be read.
std::string unchanged_or_none() {
    try { // caught because --install-sshd-config writes a file that can be read
        return unchanged_drop_in();
    } catch (const Error&) {
        return {};
    }
}

/// Whether there is a certificate of the key that clients accept. Warns of another one.
bool has_certificate(const std::string& key, const HostNames& names) {
    const auto base = destdir() + key, path = base + "-cert.pub";
    if (!is_there(path))
        return false;
    bool accepted = true;
    for (const auto& finding : judge_certificate_of(base, names)) {
        if (finding.verdict == cli::Verdict::ok)
            continue;
        const bool fails = finding.verdict == cli::Verdict::fail;
        accepted = accepted && !fails;
        cli::warn(log::program(),
                  Error(Errc::refused, path + ": " + finding.text + (fails ? "; sshd does not get it" : ""),
                        finding.hint));
    }
    return accepted;
}

} // namespace

SshdDropIn make_sshd_drop_in(std::optional<tpm::Hierarchy> hierarchy, const std::string& program) {
    const auto keys = usual_keys();
    const auto in_file = [](const std::string& key) { return is_there(destdir() + key + ".tpm"); };
    if (!hierarchy && std::ranges::none_of(keys, in_file))
        hierarchy = hierarchy_of_sshd_drop_in();
    SshdDropIn out{.socket = host_agent_socket(hierarchy), .host_keys = {}, .text = {}};
    const auto names = destdir().empty() ? os::host_names() : HostNames();
    const auto has_file = [](const std::string& key) { return is_there(destdir() + key + ".pub"); };
    const bool none = std::ranges::none_of(keys, has_file);
    std::vector<KeyLines> lines;
    for (const auto& key : keys) {
        const bool used = none || has_file(key);
        if (used)
            out.host_keys.push_back(key);
        else if (in_file(key))
            cli::warn(log::program(),
                      Error(Errc::not_found,
                            destdir() + key + ".pub: is missing, so sshd does not get this key",
                            "`ssh-tpm keygen -A` writes it"));
        lines.push_back(!used                         ? KeyLines::missing
                        : has_certificate(key, names) ? KeyLines::certified
                                                      : KeyLines::plain);
    }
    out.text = render(out.socket, lines, program);
    return out;
}

bool is_path_for_sshd(std::string_view path) {
    return path.starts_with('/') && shell_word(path) == path;
}

bool is_sshd_drop_in(std::string_view text) {
    return is_drop_in_for(text, host_agent_socket({})) || hierarchy_of(text).has_value();
}

bool has_sshd_drop_in() {
    return !unchanged_or_none().empty();
}

std::optional<tpm::Hierarchy> hierarchy_of_sshd_drop_in() {
    return hierarchy_of(unchanged_or_none());
}

bool is_in_sshd_drop_in(const std::string& value, const std::vector<ssh::SshdLine>& lines) {
    const auto line = std::ranges::find(lines, value, &ssh::SshdLine::value);
    return line != lines.end() && line->file == sshd_drop_in_path && has_sshd_drop_in();
}

bool remove_lost_certificates() {
    const auto text = unchanged_drop_in();
    std::string kept;
    for (std::string_view rest = text; !rest.empty();) {
        const auto line = take_line(rest);
        if (!line.starts_with(certificate_word) ||
            is_there(destdir() + std::string(line.substr(certificate_word.size()))))
            kept.append(line).append("\n");
    }
    if (kept == text)
        return false;
    const auto path = destdir() + sshd_drop_in_path;
    write_file(path, bytes_of(kept), 0644, Existing::replace);
    std::cout << "wrote " << printable(path) << '\n' << std::flush;
    return true;
}

} // namespace sshtpm::applets
