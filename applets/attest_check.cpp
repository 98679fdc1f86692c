// SPDX-License-Identifier: MIT
// attest check and ssh: ask a host which boot it is in.

#include "applets/attest.hpp"
#include "applets/attest_connection.hpp"
#include "applets/keygen_dialogue.hpp"
#include "applets/openssh_link.hpp"
#include "attest/attested_hosts.hpp"
#include "attest/event_log.hpp"
#include "attest/evidence.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "cli/report.hpp"
#include "keyfile/object_name.hpp"
#include "os/paths.hpp"
#include "os/sandbox.hpp"
#include "ssh/certificate.hpp"
#include "ssh/fingerprint.hpp"
#include "ssh/text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <set>
#include <strings.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view check_usage =
    "usage: ssh-tpm-attest check [--pcrs list] [--enrolled file] [--accept] [--yes] [ssh options] host\n"
    "       ssh-tpm-attest ssh [the same options] [ssh options] host [command]";

constexpr std::string_view check_about =
    "Asks a host for a quote of its TPM over the PCRs of its boot, over a connection whose host key is in "
    "the "
    "same TPM, and compares it with the boot that was accepted before. \"ssh\" logs in over that connection "
    "if all is as before.";

constexpr std::string_view check_closing = R"(
Exit status
  0 proven: the host is in a boot that was accepted
  1 not proven; the error names the failed check
  2 wrong usage
  3 proven, and the boot differs from the accepted ones
  4 the host has no such service
  "ssh" exits with that of the session if it logs in.
)";

constexpr int proven = 0, another_boot = 3, no_service = 4; // 1 and 2 are those of all errors

constexpr auto attest_subsystem = "ssh-tpm-attest";
constexpr std::string_view answer_begin = "{\"format\":\"ssh-tpm-attested-1\",";

struct CheckOptions {
    attest::PcrSelection pcrs = attest::usual_pcrs();
    std::optional<std::string> enrolled;
    bool accept = false, yes = false;
};

/// The number of words in front of ssh's: the command's name and the long options, with their arguments.
std::size_t own_words(std::span<char*> words) {
    constexpr std::array<std::string_view, 2> with_argument{"--pcrs", "--enrolled"};
    std::size_t count = 1;
    while (count < words.size()) {
        const std::string_view word = words[count];
        if (word != "-h" && (!word.starts_with("--") || word == "--"))
            break;
        count += std::ranges::find(with_argument, word) == with_argument.end() ? 1U : 2U;
    }
    return std::min(count, words.size());
}

/// Why there is no answer, in the words of the host, whose subsystem cannot say it otherwise, or of ssh.
std::string reason_in(const os::ProgramOutput& printed) {
    std::string_view text = printed.output.empty() ? printed.errors : printed.output;
    return std::string(take_line(text));
}

/// A boot that the host has proven.
struct Checked {
    attest::AttestedHost now;
    std::uint64_t firmware; ///< the TPM's version
    std::string source;     ///< where the attestation key is known from, for a person
};

/// True if a line of an enrolled machine, "AKNAME EKNAME PRINCIPALS", has the Name, and no principals or this
/// host's. @throws Error(malformed) for a file of receipts, whose attestation keys have proven nothing yet
bool is_enrolled(const std::string& file, std::string_view ak_name, std::string_view host) {
    constexpr std::size_t most = std::size_t{64} * 1024 * 1024;
    const auto content = read_file(file, most);
    const auto take_name = [](std::string_view& line) {
        const auto word = ssh::take_word(line);
        const auto name = from_hex(word);
        if (!name || !keyfile::is_object_name(*name))
            malformed("not the Names of an attestation key and an endorsement key",
                      "`join` makes the lines from receipts that have come; see ssh-tpm-attest(1), EXAMPLES");
        return word;
    };
    std::size_t number = 0;
    for (auto text = text_of(content); !text.empty();) {
        auto line = take_line(text);
        ++number;
        if (line.empty() || line.starts_with('#'))
            continue;
        const bool is_it = naming(file + ": line " + std::to_string(number), [&] {
            const auto ak = take_name(line);
            take_name(line);
            return ak == ak_name;
        });
        if (is_it && (line.empty() || ssh::match_host(host, line)))
            return true;
    }
    return false;
}

/// Where the attestation key is known from. @throws Error(refused) if the certificate names another one, or
/// the file of enrolled keys does not have it
std::string source_of(const attest::Boot& boot, const SshConnection& connection,
                      const CheckOptions& options) {
    const auto& key = connection.host_key();
    const auto name = hex(boot.ak_name);
    const bool is_certificate = !key.certificate.empty();
    const auto certified = is_certificate
                               ? ssh::read_certificate(key.certificate).extension(attestation_extension)
                               : std::nullopt;
    if (certified && *certified != name)
        refuse("the host certificate names another attestation key");
    if (options.enrolled && !is_enrolled(*options.enrolled, name, connection.name()))
        refuse("the attestation key is not in " + *options.enrolled + " for " + connection.name());
    if (options.enrolled)
        return "enrolled in " + *options.enrolled;
    if (certified)
        return "named in the host certificate";
    return is_certificate ? "the host certificate does not name it" : "nothing but this connection names it";
}

void print_pcrs(const attest::PcrValues& pcrs) {
    for (const auto& [number, value] : pcrs)
        std::cerr << "  PCR " << number << (number < 10 ? "   " : "  ") << hex(value) << "  "
                  << attest::pcr_meaning(number)
                  << (value == Bytes(value.size()) ? " (nothing was measured)" : "") << '\n';
}

/// The events of a boot, if they lead to the values that the TPM has quoted. Nothing else proves them.
std::vector<attest::BootEvent> proven_events(const attest::AttestedHost& boot, unsigned pcr) {
    if (boot.event_log.empty())
        return {};
    try { // caught because the log is not needed
        auto log = attest::parse_event_log(boot.event_log, boot.selection.bank);
        const auto values = attest::replayed(log, {.bank = boot.selection.bank, .numbers = {pcr}});
        if (values.at(pcr) != boot.pcrs.at(pcr))
            return {};
        std::erase_if(log.events, [&](const auto& event) { return event.pcr != pcr; });
        return std::move(log.events);
    } catch (const Error&) {
        return {};
    }
}

/// The events that one boot has and the other has not.
void print_events(const attest::AttestedHost& before, const attest::AttestedHost& now, unsigned pcr) {
    constexpr std::size_t most = 20;
    const auto old_events = proven_events(before, pcr), new_events = proven_events(now, pcr);
    const auto print = [](std::string_view mark, const auto& events, const auto& others) {
        std::set<Bytes> known;
        for (const auto& event : others)
            known.insert(event.digest);
        std::size_t count = 0;
        for (const auto& event : events)
            if (!known.contains(event.digest) && ++count <= most)
                std::cerr << "    " << mark << ' ' << attest::describe(event) << '\n';
        if (count > most)
            std::cerr << "    " << mark << " and " << count - most << " others\n";
    };
    if (old_events.empty() || new_events.empty())
        return;
    print("before:", old_events, new_events);
    print("now:   ", new_events, old_events);
}

using Records = std::vector<attest::AttestedHost>;

/// The accepted boots of the host; of those, the ones of this host key if there are any, because the initrd
/// may have another one than the running system.
Records records_of(const attest::AttestedHost& now, Records all) {
    std::erase_if(all, [&](const auto& record) { return record.host != now.host; });
    const auto has_key = [&](const auto& record) { return record.host_key == now.host_key; };
    if (std::ranges::any_of(all, has_key))
        std::erase_if(all,
                      [&](const auto& record) { return !has_key(record) && record.ak_name == now.ak_name; });
    return all;
}

/// Prints what differs from the accepted boots, whatever PCRs they were accepted with. @returns whether
/// anything does
bool print_difference(const Records& records, const attest::AttestedHost& now) {
    std::set<std::string> told;
    const auto tell = [&](const std::string& text) {
        if (told.insert(text).second)
            std::cerr << now.host << ": " << text << '\n';
    };
    for (const auto& before : records) {
        if (now.ak_name != before.ak_name)
            tell("another TPM: its attestation key is not the accepted one");
        else if (now.host_key != before.host_key)
            tell("another host key of the same TPM");
        else if (now.reset_count < before.reset_count)
            tell("the TPM counts fewer boots than before (" + std::to_string(now.reset_count) + ", not " +
                 std::to_string(before.reset_count) + "): it was cleared, or is another one");
        for (const auto& [number, value] : now.pcrs) {
            const auto old = before.pcrs.find(number);
            if (before.selection.bank != now.selection.bank || old == before.pcrs.end() ||
                old->second == value)
                continue;
            const auto meaning = attest::pcr_meaning(number);
            tell("PCR " + std::to_string(number) + " differs" +
                 (meaning.empty() ? "" : " (" + std::string(meaning) + ")") +
                 "\n    accepted: " + hex(old->second) + "\n    measured: " + hex(value));
            print_events(before, now, number);
        }
    }
    return !told.empty();
}

/// True if each PCR was accepted before, perhaps with others.
bool covers(const Records& records, const attest::AttestedHost& now) {
    return std::ranges::all_of(now.pcrs, [&](const auto& pcr) {
        return std::ranges::any_of(records, [&](const auto& record) {
            return record.selection.bank == now.selection.bank && record.pcrs.contains(pcr.first);
        });
    });
}

/// @throws Error(refused) unless the person says yes
void require_yes(const CheckOptions& options, const std::string& question) {
    if (options.yes)
        return;
    if (!interactive())
        refuse("the boot is new, and there is no terminal to ask at", "--yes accepts it unseen");
    std::cerr << question;
    const auto answer = ask_line("");
    if (!answer || (::strcasecmp(answer->c_str(), "yes") != 0 && ::strcasecmp(answer->c_str(), "y") != 0))
        refuse("the boot was not accepted");
}

void print_boot(const Checked& checked) {
    const auto& now = checked.now;
    std::cerr << "  attestation key " << hex(now.ak_name) << "\n    (" << checked.source << ")\n  host key "
              << ssh::fingerprint(now.host_key, ssh::FingerprintHash::sha256)
              << "\n  boots of the TPM: " << now.reset_count << ", version of its firmware: " << std::hex
              << checked.firmware << std::dec << '\n';
    print_pcrs(now.pcrs);
}

/// Compares the boot with the accepted ones, and records it after a yes. @returns the exit status
int compare_and_record(const Checked& checked, const SshConnection& connection, const CheckOptions& options) {
    const auto& now = checked.now;
    const auto file = os::state_folder() / "attested_hosts";
    const auto records = records_of(now, attest::read_attested_hosts(file));
    if (print_difference(records, now)) {
        if (!options.accept) {
            std::cerr << now.host << ": --accept accepts this boot from now on\n";
            return another_boot;
        }
        print_boot(checked);
        require_yes(options, "Accept this boot of " + now.host + " from now on (yes/no)? ");
    } else if (!covers(records, now)) {
        std::cerr << now.host << ": no boot with " << now.selection.text() << " was accepted before\n";
        print_boot(checked);
        require_yes(options, "Is this boot of " + now.host + " the right one (yes/no)? ");
    } else {
        std::cerr << now.host << ": the boot is an accepted one\n";
    }
    if (!connection.is_alive())
        refuse(now.host + ": the connection has ended meanwhile", "check the host again");
    attest::record_host(file, now);
    return proven;
}

/// Asks the host, and judges its answer. @returns the exit status
int check_connection(const SshConnection& connection, const CheckOptions& options) {
    const auto question = attest::Question::fresh(options.pcrs);
    const auto printed =
        naming(connection.host(), [&] { return connection.ask(attest_subsystem, question.text()); });
    if (!printed || printed->status != 0 || !printed->output.starts_with(answer_begin)) {
        if (!connection.is_alive())
            refuse(connection.host() + ": the connection was lost during the check");
        const auto reason = printed ? reason_in(*printed) : "there is no answer in time";
        cli::report(
            "ssh-tpm-attest",
            Error(Errc::not_found,
                  connection.host() + ": the host does not answer checks" +
                      (reason.empty() ? "" : " (" + printable(reason) + ")"),
                  "there, `journalctl -u ssh-tpm-attest` tells what its service did; `ssh-tpm hostkeys "
                  "--install-system-units --install-sshd-config` installs it"));
        return no_service;
    }
    if (std::chrono::steady_clock::now() - connection.host_key().looked_up > time_limits().attest_login)
        refuse(connection.host() + ": the login took so long that the host could have booted anew",
               "try again; log in with a key in an agent, which needs no typing");
    const auto checked = naming(connection.host(), [&] {
        const auto answer = attest::Answer::parse(printed->output);
        const auto boot = attest::verify(answer, question, connection.host_key().blob);
        return Checked{.now = {.host = connection.host(),
                               .ak_name = boot.ak_name,
                               .host_key = connection.host_key().blob,
                               .selection = options.pcrs,
                               .pcrs = boot.pcrs,
                               .reset_count = boot.clock.resetCount,
                               .event_log = answer.event_log},
                       .firmware = boot.firmware,
                       .source = source_of(boot, connection, options)};
    });
    return compare_and_record(checked, connection, options);
}

attest::PcrSelection selection_of(std::string_view list) {
    try { // caught because here it is the command line that is wrong
        return attest::PcrSelection::parse(list);
    } catch (const Error& error) {
        throw Error(Errc::usage, error.what(), error.hint());
    }
}

int run_check(Call& call, bool then_log_in) {
    CheckOptions o;
    std::vector<cli::Option> table{
        {"--pcrs LIST", cli::every_mode, "the PCRs, such as sha384:0-7 (default: sha256:0-9,11,12)",
         [&o](char* list) { o.pcrs = selection_of(list); }},
        {"--enrolled FILE", cli::every_mode,
         "the host's attestation key must be in this file, of machines whose receipts have come",
         cli::set(o.enrolled)},
        {"--accept", cli::every_mode, "ask whether another boot is right, and accept it from now on",
         cli::set(o.accept)},
        {"--yes", cli::every_mode, "do not ask", cli::set(o.yes)},
    };
    const auto ours = own_words(call.arguments);
    const auto parsed = cli::parse_options(call.arguments.first(ours), table, 1);
    if (parsed.help)
        return show_help(call, check_usage, check_about, table, check_closing);
    if (parsed.version)
        return show_version();
    const auto words =
        split_ssh_words({call.arguments.begin() + static_cast<std::ptrdiff_t>(ours), call.arguments.end()});
    if (!then_log_in && !words.command.empty())
        throw Error(Errc::usage, "check runs no command", "`ssh-tpm attest ssh` does, if the boot is right");
    const SshConnection connection(words); // ssh may need the privileges of ssh-keysign(8)
    os::give_up_new_privileges();
    const int status = check_connection(connection, o);
    return then_log_in && status == proven ? connection.run() : status;
}

} // namespace

int attest_check(Call& call) {
    return run_check(call, false);
}

int attest_ssh(Call& call) {
    return run_check(call, true);
}

} // namespace sshtpm::applets
