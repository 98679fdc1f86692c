// SPDX-License-Identifier: MIT
#include "applets/sshd.hpp"

#include "applets/host_units.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "os/environment.hpp"

#include <algorithm>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// Far more than any configuration has.
constexpr std::size_t max_sshd_output = 4 << 20;

/// Far more than a file of sshd's configuration has.
constexpr std::size_t max_sshd_config = 1 << 20;

/// @throws Error(not_found | io | malformed)
os::ProgramOutput run_sshd(std::vector<std::string> words) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    // In a group of its own: Ctrl-C must not end sshd, whose status decides what this program does.
    words.insert(words.begin(), *sshd);
    auto answer = os::output_of(words, {}, time_limits().sshd, max_sshd_output, os::Child::Group::own);
    if (!answer)
        throw Error(Errc::io, "sshd does not answer",
                    "it may wait for its HostKeyAgent (`systemctl restart 'ssh-tpm-hostkeys*.service'`), or "
                    "for a FIFO in the place of a file: `timeout 9 " +
                        *sshd + " -T -ddd` shows how far it comes");
    return std::move(*answer);
}

/// sshd's messages in one line, without those of its debugging and without the frame of its warning of
/// private keys that others can read.
std::string messages_in(std::string_view printed) {
    std::string out;
    while (!printed.empty()) {
        const auto line = take_line(printed);
        if (!line.empty() && !line.starts_with('@') && !line.starts_with("debug"))
            out.append(out.empty() ? "" : "; ").append(line);
    }
    return out;
}

/// @param number from 1
std::string_view line_of(std::string_view text, unsigned number) {
    for (; number > 1 && !text.empty(); --number)
        take_line(text);
    return take_line(text);
}

/// For a sshd that finds no host key.
std::string hint_for_no_keys(const SshdView& view) {
    if (view.agents.empty() && is_there(sshd_drop_in_path))
        return include_hint;
    if (view.agents.empty() || view.errors.find("Could not connect to agent") == std::string::npos)
        return "its HostKey lines name no key that is there: `ssh-tpm keygen -A` makes those in the TPM, "
               "`ssh-keygen -A` those in files";
    const fs::path agent = view.agents.front().value;
    return is_host_agent_socket(agent) ? hint_for_agent(agent, Errc::not_found)
                                       : "start the agent with the socket " + shell_word(agent.native());
}

/// Our name of a socket of the units that is named otherwise, such as in /var/run.
std::string usual_path(const std::string& socket) {
    const fs::path path(socket);
    std::error_code ignored;
    auto usual = fs::weakly_canonical(path.parent_path(), ignored) / path.filename();
    return is_host_agent_socket(usual) ? usual.string() : socket;
}

bool is_comment(std::string_view line, std::string_view comment) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return line.substr(0, line.find_last_not_of(" \t") + 1) == comment;
}

} // namespace

// A user's PATH may lack these folders.
std::optional<std::string> find_sshd() {
    return os::find_program("sshd", "/usr/local/sbin:/usr/sbin:/sbin");
}

SshdView ask_for_configuration() {
    const auto answer = run_sshd({"-T", "-ddd"});
    SshdView view{.agents = ssh::parse_sshd_lines(answer.errors, "HostKeyAgent"),
                  .host_keys = ssh::parse_sshd_lines(answer.errors, "HostKey"),
                  .host_certificates = ssh::parse_sshd_lines(answer.errors, "HostCertificate"),
                  .algorithms = ssh::parse_sshd_lines(answer.errors, "HostKeyAlgorithms"),
                  .subsystems = ssh::parse_sshd_lines(answer.errors, "Subsystem"),
                  .loaded = ssh::parse_sshd_host_keys(answer.errors),
                  .version = ssh::parse_sshd_version(answer.errors),
                  .refused_line = ssh::parse_refused_line(answer.errors),
                  .settings = {},
                  .errors = messages_in(answer.errors)};
    for (auto& line : view.agents)
        line.value = usual_path(line.value);
    if (answer.status != 0) {
        if (view.errors.empty()) // a signal has ended it
            view.errors = "exit status " + std::to_string(answer.status);
        return view;
    }
    view.settings = ssh::parse_sshd_settings(answer.output);
    view.settings->host_key_agent = usual_path(view.settings->host_key_agent);
    return view;
}

bool lacks_host_keys(const SshdView& view) {
    return view.errors.find("no hostkeys available") != std::string::npos;
}

std::string hint_for_refusal(const SshdView& view, const std::string& for_keys) {
    constexpr std::string_view no_folder = "Missing privilege separation directory: ";
    if (::geteuid() != 0)
        return "only root may ask sshd for its configuration: run it as root (sudo)";
    if (lacks_host_keys(view))
        return for_keys;
    if (const auto at = view.errors.find(no_folder); at != std::string::npos) {
        const auto folder = view.errors.substr(at + no_folder.size());
        return "sshd's service makes this folder when it starts: `mkdir -m 755 " +
               folder.substr(0, folder.find("; ")) + "`";
    }
    if (view.refused_line && view.refused_line->file == sshd_drop_in_path &&
        view.errors.find("within a Match block") != std::string::npos)
        return include_hint;
    return view.refused_line ? "mend " + place_of(*view.refused_line)
                             : "solve what sshd names, until `sshd -t` is content";
}

std::string with_errors(const std::string& what, const SshdView& view) {
    return what + (view.errors.empty() ? "" : ": " + view.errors);
}

const ssh::SshdSettings& settings_of(const SshdView& view) {
    if (view.settings)
        return *view.settings;
    throw Error(Errc::refused, with_errors("sshd -T fails", view),
                hint_for_refusal(view, hint_for_no_keys(view)));
}

std::string place_of(const ssh::SshdLine& line) {
    return line.file + " line " + std::to_string(line.number);
}

std::string in_line_of(const std::string& value, const std::vector<ssh::SshdLine>& lines) {
    const auto line = std::ranges::find(lines, value, &ssh::SshdLine::value);
    return line == lines.end() ? "" : " (" + place_of(*line) + ")";
}

bool has_comment(const std::string& value, const std::vector<ssh::SshdLine>& lines,
                 std::string_view comment) {
    return std::ranges::any_of(lines, [&](const ssh::SshdLine& line) {
        if (line.value != value || line.number < 2)
            return false;
        try { // caught because a file that cannot be read has no comment either
            const auto text = read_file(line.file, max_sshd_config);
            return is_comment(line_of(text_of(text), line.number - 1), comment);
        } catch (const Error&) {
            return false;
        }
    });
}

} // namespace sshtpm::applets
