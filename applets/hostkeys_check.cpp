// SPDX-License-Identifier: MIT
// Checks that sshd can use the host keys of the agent: for ssh-tpm-hostkeys --check, and before a new
// configuration of sshd is kept.

#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "applets/installation.hpp"
#include "applets/sshd_drop_in.hpp"
#include "applets/sshd_keys.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "cli/report.hpp"

#include <algorithm>
#include <iostream>
#include <set>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Verdict;
using Clock = std::chrono::steady_clock;

/// The agent that sshd asks; empty for none, and if it is not known.
std::string named_agent(const SshdView& view) {
    if (view.settings)
        return view.settings->host_key_agent;
    return view.agents.empty() ? "" : view.agents.front().value;
}

/// Reports that the first HostKeyAgent, the one that sshd takes, is not `socket`.
std::optional<Error> other_agent(const SshdView& view, const std::filesystem::path& socket,
                                 const std::string& hint) {
    if (view.agents.empty())
        return std::nullopt;
    const auto& line = view.agents.front();
    const auto agent = named_agent(view);
    if (agent == socket.string())
        return std::nullopt;
    const bool of_go = std::filesystem::path(line.file).filename() == "10-ssh-tpm-agent.conf";
    return Error(
        Errc::refused,
        "HostKeyAgent is " + (agent.empty() ? "none" : agent) + ", which " + place_of(line) + " sets first",
        of_go ? "the ssh-tpm-agent written in Go installed this file: remove it, and stop that agent "
                "(`systemctl disable --now ssh-tpm-agent.socket ssh-tpm-agent.service`)"
              : hint);
}

/// The agent that sshd asks, if it is one of our units.
std::optional<std::filesystem::path> our_agent(const SshdView& view) {
    std::filesystem::path agent = named_agent(view);
    return is_host_agent_socket(agent) ? std::optional(std::move(agent)) : std::nullopt;
}

/// @returns sshd's view of its configuration, as far as it has one
SshdView check_configuration(cli::Findings& findings) {
    SshdView view;
    try { // caught to check the agent too
        view = ask_for_configuration();
        settings_of(view);
        findings.add({Verdict::ok, "sshd-config", "", "sshd accepts its configuration", ""});
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::fail, "sshd-config", "", error, "`sshd -T`"));
    }
    return view;
}

/// Checks that sshd asks the agent with this socket.
void check_agent_line(const SshdView& view, const std::filesystem::path& socket, cli::Findings& findings) {
    const auto named = named_agent(view);
    auto other = other_agent(
        view, socket,
        "remove that line, and run " + install_command(socket) +
            (named.starts_with('/')
                 ? "; or check that agent: `ssh-tpm hostkeys --check --socket " + shell_word(named) + "`"
                 : ""));
    if (!other && view.settings && named != socket) // there is no line
        other = Error(Errc::refused, named.empty() ? "sshd has no HostKeyAgent" : "HostKeyAgent is " + named,
                      install_command(socket));
    if (other)
        findings.add(cli::finding_of_error(Verdict::fail, "host-key-agent", "", *other, ""));
    else if (view.settings || !view.agents.empty())
        findings.add({Verdict::ok, "host-key-agent", "", "HostKeyAgent is " + socket.string(), ""});
}

/// Warns if the running sshd does not know its configuration. It writes its pid file each time that it has
/// read the configuration (main in sshd.c); a sshd without this file is not judged. From 9.8 on, it reads its
/// public keys and certificates then too (pack_hostkeys), and before at each login.
/// @param view sshd must accept the configuration
void check_reload(const SshdView& view, cli::Findings& findings) {
    constexpr std::size_t most = 64;
    constexpr ssh::SshdVersion keeps_keys{9, 8};
    std::error_code ignored;
    const fs::path file = view.settings->pid_file;
    if (file.empty() || !fs::is_regular_file(file, ignored))
        return;
    try { // caught because sshd may end now
        const auto read_at = fs::last_write_time(file);
        const auto content = read_file(file.string(), most);
        auto text = text_of(content);
        const auto process = read_file("/proc/" + std::string(take_line(text)) + "/comm", most);
        if (text_of(process) != "sshd\n")
            return;
        std::set<std::string> files;
        for (const auto* const lines : {&view.agents, &view.host_keys, &view.host_certificates})
            for (const auto& line : *lines)
                files.insert(line.file);
        if (view.version && *view.version >= keeps_keys) {
            files.insert(view.settings->host_certificates.begin(), view.settings->host_certificates.end());
            for (const auto& path : view.settings->host_keys)
                files.insert(base_of(path) + ".pub");
        }
        for (const auto& name : files)
            if (fs::exists(name, ignored) && fs::last_write_time(name) > read_at)
                findings.add({Verdict::warn, "sshd-reload", name,
                              "written after the running sshd has read its configuration",
                              "`systemctl reload ssh`" + std::string(name_of_sshd_service)});
    } catch (const std::exception&) {
    }
}

/// The host keys that sshd loads, as type and path: it uses the first of each type.
HostKeysByType loaded_keys(const SshdView& view) {
    HostKeysByType out;
    if (!view.settings)
        return out;
    const auto& paths = view.settings->host_keys;
    for (const auto& key : view.loaded)
        if (key.number < paths.size())
            out.emplace(key.type, base_of(paths[key.number]));
    return out;
}

/// Warns of keys that clients may know, and see no more.
void warn_of_lost_keys(const HostKeysByType& before, const HostKeysByType& after) {
    std::vector<std::string> lost, fit;
    for (const auto& [type, path] : before) {
        if (uses_path(after, path))
            continue;
        lost.push_back(path);
        if (!after.contains(type))
            fit.push_back(shell_word(path));
    }
    if (lost.empty())
        return;
    std::string hint = "sshd has one key of each type, so clients need the new ones in their known_hosts";
    if (!fit.empty()) {
        hint = "to keep what can be kept beside the new ones: `printf 'HostKey %s\\n'";
        for (const auto& path : fit)
            hint.append(" ").append(path);
        hint += " >>/etc/ssh/sshd_config.d/80-old-keys.conf`; then run this command again before sshd is "
                "reloaded";
    }
    cli::warn(log::program(), Error(Errc::refused,
                                    "sshd no longer uses " + joined(lost) +
                                        ": clients that know no other key of this host refuse it",
                                    hint));
}

Error not_installed(const std::string& what, const std::string& hint) {
    return {Errc::refused, what + "; nothing was installed for sshd", hint};
}

void expect_sshd_to_agree(const SshdView& view, const std::filesystem::path& socket,
                          const std::string& first) {
    // First, because sshd may refuse its configuration for this reason: it asks the wrong agent.
    if (const auto other =
            other_agent(view, socket,
                        "sshd takes the first HostKeyAgent: remove that line, or, to keep that agent, "
                        "do without --install-sshd-config"))
        throw not_installed(other->what(), other->hint());
    if (!view.settings)
        throw not_installed(with_errors("sshd -t refuses the configuration", view),
                            hint_for_refusal(view, view.agents.empty() ? include_hint : first));
    if (const auto& sshd = *view.settings; sshd.host_key_agent != socket.string())
        throw not_installed("sshd does not read the new file (its HostKeyAgent is " +
                                (sshd.host_key_agent.empty() ? "none" : sshd.host_key_agent) + ")",
                            include_hint);
}

void expect_keys_to_work(const SshdView& view, const SshdDropIn& drop_in, const std::string& first,
                         const HostKeysByType& former) {
    std::vector<cli::Finding> results;
    cli::Findings findings([&](const cli::Finding& finding) { results.push_back(finding); });
    HostKeyCheck check{.view = view,
                       .socket = drop_in.socket,
                       .end = Clock::now() + time_limits().host_agent,
                       .findings = findings,
                       .former = former};
    check_agent(check);
    results.clear(); // only those of keys are printed
    auto keys = read_host_keys(view, read_certificates(view));
    if (check.served) {
        auto paths = drop_in.host_keys;
        for (const auto& key : keys) // with an agent, sshd offers keys too whose files it cannot read
            if (key.signer == Signer::agent)
                paths.push_back(key.path);
        check_keys(keys, paths, check);
        check_learning(keys, check);
    }
    std::error_code ignored;
    if (const auto& failure = check.agent_failure)
        throw not_installed("sshd would ask an agent that does not answer: " + failure->subject + ": " +
                                failure->text,
                            fs::exists(drop_in.socket, ignored) ? failure->hint : first);
    const bool any_passes = std::ranges::any_of(keys, &SshdKey::passes),
               any_dead = std::ranges::any_of(keys, &SshdKey::is_dead);
    for (const auto& finding : results) {
        const Error problem(Errc::refused, finding.subject + ": " + finding.text, finding.hint);
        if (finding.verdict == Verdict::ok)
            std::cout << printable(problem.what()) << '\n';
        else
            any_passes && !any_dead ? cli::warn(log::program(), problem)
                                    : (void)cli::report(log::program(), problem);
    }
    if (!any_passes)
        throw not_installed(
            "the agent signs with none of these host keys, so all logins fail",
            drop_in.socket == system_socket
                ? "solve the problems above; for the keys of a hierarchy, give --hierarchy too"
                : "solve the problems above");
    if (any_dead) // ssh prefers ECDSA keys to RSA keys, whichever of them works
        throw not_installed(
            "clients would choose a key with which the agent does not sign, so their logins fail",
            "solve the problems above");
}

} // namespace

void check_host_keys(cli::Findings& findings, const std::optional<std::filesystem::path>& given) {
    // The rest is for files, which are read after the last answer.
    const auto end = Clock::now() + time_limits().host_agent * 9 / 10;
    const auto view = check_configuration(findings);
    const auto socket = given ? *given : our_agent(view).value_or(system_socket);
    check_agent_line(view, socket, findings);
    HostKeyCheck check{.view = view, .socket = socket, .end = end, .findings = findings};
    check_agent(check);
    if (!view.settings)
        return;
    const auto certificates = read_certificates(view);
    auto keys = read_host_keys(view, certificates);
    check_keys(keys, view.settings->host_keys, check);
    check_learning(keys, check);
    check_certificates(certificates, keys, check);
    check_reload(view, findings); // last, because sshd takes a moment for a reload
}

std::optional<std::string> agent_of_sshd() {
    try { // caught because sshd may be missing, or hang; check_host_keys reports that
        const auto view = ask_for_configuration();
        const bool is_read = view.settings || !view.agents.empty() || lacks_host_keys(view);
        return is_read ? std::optional(named_agent(view)) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

ConfiguredSshd configured_sshd() {
    std::error_code ignored;
    if (fs::exists(sshd_drop_in_path, ignored) && !fs::is_regular_file(sshd_drop_in_path, ignored))
        return {}; // because sshd waits for a FIFO

    try { // caught because the new configuration may be better
        const auto view = ask_for_configuration();
        ConfiguredSshd out{.keys = loaded_keys(view), .subsystem = {}};
        for (const auto& line : view.subsystems)
            if (line.value == subsystem_of_attest && line.file != sshd_drop_in_path)
                out.subsystem = line;
        return out;
    } catch (const Error&) {
        return {};
    }
}

void expect_logins_to_work(const SshdDropIn& drop_in, const std::string& first,
                           const HostKeysByType& before) {
    const auto view = ask_for_configuration();
    expect_sshd_to_agree(view, drop_in.socket, first);
    expect_keys_to_work(view, drop_in, first, before);
    warn_of_lost_keys(before, loaded_keys(view));
}

void expect_sshd_to_go_on(bool had_config, bool force) {
    if (!find_sshd())
        return;
    const auto view = ask_for_configuration();
    std::string what, hint;
    if (had_config && !view.settings) {
        what = with_errors("without the installed file, sshd -t refuses the configuration", view);
        hint = hint_for_refusal(view, "sshd has no other host key: `ssh-keygen -A` makes some in files");
    } else if (!our_agent(view) || view.agents.empty()) {
        return;
    } else {
        what = "sshd needs the agent of these units: HostKeyAgent in " + place_of(view.agents.front());
        hint = "remove that line and the HostKey lines of its keys, and have sshd reload its configuration";
    }
    if (!force)
        throw Error(Errc::refused, what + "; nothing was removed", hint + "; --force removes it anyway");
    cli::warn(log::program(), Error(Errc::refused, what, hint));
}

} // namespace sshtpm::applets
