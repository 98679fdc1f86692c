// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: runs the sections beside each other, each in a copy of this process, and prints their
// findings in a fixed order.

#include "applets/doctor.hpp"

#include "applets/applets.hpp"
#include "applets/openssh_link.hpp"
#include "applets/tpm_options.hpp"
#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/time_limits.hpp"
#include "cli/options.hpp"
#include "os/child.hpp"
#include "os/forked.hpp"
#include "os/harden.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <list>
#include <poll.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view doctor_usage = "usage: ssh-tpm-doctor [--json] [--tcti conf | --swtpm]";

constexpr std::string_view doctor_about =
    "Checks the TPM, the agents, the key files and the units, and prints a line for each check: \"ok\", "
    "\"warn\" or \"fail\", and a hint. It changes nothing, asks for no PIN, and ends within 15 seconds. A "
    "bug report needs its output, which has no secrets.";

constexpr std::string_view doctor_closing = R"(
Environment
  SSH_TPM_TCTI, SSH_TPM_AGENT_SWTPM    the TPM, if no option names it
  SSH_TPM_AUTH_SOCK, SSH_AUTH_SOCK     sockets of agents

Exit status
  0 all is well, 1 something does not work, 2 wrong usage, 3 works, with warnings
)";

constexpr cli::Modes diagnosing = 1U << 0;

struct Section {
    std::string name;
    std::function<void(cli::Findings&)> check;
    std::string hint; ///< if it does not end
};

/// The last record of a section that has come to its end.
constexpr const char* end_of_section = "end";

/// @returns false at the end of the stream
bool read_more(int descriptor, std::string& text) {
    std::array<char, 4096> chunk{};
    const auto got = uninterrupted([&] { return ::read(descriptor, chunk.data(), chunk.size()); });
    if (got <= 0)
        return false;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
}

void write_record(int descriptor, const cli::Finding& finding) {
    const auto record = cli::to_record(finding);
    for (std::string_view rest(record); !rest.empty();) {
        const auto written = uninterrupted([&] { return ::write(descriptor, rest.data(), rest.size()); });
        if (written <= 0)
            throw Error::from_errno(errno, "a pipe");
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

cli::Finding unfinished(const Section& section, std::string text) {
    return {cli::Verdict::fail, "unfinished", section.name, std::move(text), section.hint};
}

void run_section(const Section& section, int results) {
    cli::Findings findings([&](const cli::Finding& finding) { write_record(results, finding); });
    try { // caught to report it
        section.check(findings);
    } catch (const std::exception& error) {
        findings.add(unfinished(section, error.what()));
    }
    findings.add({cli::Verdict::ok, end_of_section, "", "", ""});
}

class RunningSection {
  public:
    explicit RunningSection(const Section& section)
        : section_(section), child_([&section](int results) { run_section(section, results); }) {}

    int output() const noexcept { return child_.pipe(); }
    bool ended() const noexcept { return ended_; }
    void read() { ended_ = !read_more(child_.pipe(), records_); }

    void report(cli::Findings& findings) const {
        bool complete = false;
        std::string_view rest(records_);
        while (auto finding = cli::take_record(rest)) {
            if (finding->check == end_of_section)
                complete = true;
            else
                findings.add(std::move(*finding));
        }
        if (complete)
            return;
        const auto seconds = std::chrono::floor<std::chrono::seconds>(time_limits().doctor).count();
        findings.add(unfinished(section_, ended_ ? "ended before its last check"
                                                 : "did not end within " + std::to_string(seconds) + " s"));
    }

  private:
    const Section& section_;
    os::ForkedChild child_;
    std::string records_;
    bool ended_ = false;
};

/// Waits for one of the sections. @returns false at the deadline
bool read_some(std::list<RunningSection>& sections, Deadline end) {
    std::vector<pollfd> waiting;
    for (const auto& section : sections)
        waiting.push_back({.fd = section.ended() ? -1 : section.output(), .events = POLLIN, .revents = 0});
    const int ready =
        uninterrupted([&] { return ::poll(waiting.data(), waiting.size(), milliseconds_until(end)); });
    auto state = waiting.begin();
    for (auto& section : sections)
        if ((state++)->revents != 0)
            section.read();
    return ready > 0;
}

int run_sections(const std::vector<Section>& sections, cli::Findings& findings) {
    const auto end = std::chrono::steady_clock::now() + time_limits().doctor;
    std::list<RunningSection> running;
    for (const auto& section : sections)
        running.emplace_back(section);
    for (bool in_time = true; !running.empty();) {
        if (in_time && !running.front().ended()) {
            in_time = read_some(running, end);
            continue;
        }
        running.front().report(findings);
        running.pop_front();
    }
    return findings.finish();
}

} // namespace

std::optional<os::ProgramOutput> try_output_of(const std::vector<std::string>& command) {
    constexpr std::size_t most = std::size_t{64} * 1024;
    try { // caught because the callers report a missing program in their own words
        return os::output_of(command, {"LC_ALL=C"}, time_limits().doctor_program, most);
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool is_root() {
    return ::geteuid() == 0;
}

int run_doctor(Call& call) {
    log::configure(call.name, log::Level::error);
    TpmOptions tpm_options;
    bool json = false;
    std::vector<cli::Option> table{
        {"--json", diagnosing, "print the findings as one JSON object", cli::set(json)}};
    tpm_options.add_target_to(table, diagnosing);
    const auto parsed = cli::parse_options(call.arguments, table, diagnosing);
    if (parsed.help)
        return show_help(call, doctor_usage, doctor_about, table, doctor_closing);
    if (parsed.version)
        return show_version();
    const auto run = [&] {
        auto target = tpm_options.target();
        target.known_tpms_use = tpm::KnownTpmsUse::read_only;
        const auto of_host = tpm_options.target("/etc/ssh");
        const std::string later = "try again; `journalctl -b` may have messages of the part that hangs";
        const std::vector<Section> sections{
            {"system", check_system, later},
            {"TPM", [&](cli::Findings& findings) { check_tpm(findings, target, of_host); },
             "`journalctl -b -k -g tpm` shows the messages of its driver; restart the machine, or the "
             "emulator if it is one"},
            {"agents", check_agents, later},
            {"files", check_files, later},
            {"host", check_host, later},
        };
        cli::Findings findings(json ? cli::Findings::Format::json : cli::Findings::Format::lines);
        return run_sections(sections, findings);
    };
    return cli::fitting_mode(parsed, {{diagnosing, "checking", run}}).run();
}

} // namespace sshtpm::applets
