// SPDX-License-Identifier: MIT
// One executable for all applets: its name or its first argument chooses one.

#include "applets/applets.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "cli/report.hpp"
#include "os/harden.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sshtpm::Errc;
using sshtpm::Error;
using sshtpm::applets::Applet;
namespace applets = sshtpm::applets;
namespace cli = sshtpm::cli;

constexpr std::array table{
    Applet{"keygen", "make keys in the TPM, and look at them", "ssh-keygen", applets::run_keygen},
    Applet{"agent", "serve the keys to ssh", "ssh-agent", applets::run_agent},
    Applet{"add", "add keys to a running agent", "ssh-add", applets::run_add},
    Applet{"hostkeys", "keep sshd's host keys in the TPM", "", applets::run_hostkeys},
    Applet{"attest", "show a certificate authority that keys are in a TPM", "", applets::run_attest},
    Applet{"doctor", "check the TPM, the agent and the key files", "", applets::run_doctor},
};

constexpr std::string_view program = "ssh-tpm", link_prefix = "ssh-tpm-";

/// The number of single-letter edits from one word to the other (Levenshtein 1966).
std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1); // distances from the part of `a` read so far
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const auto substituted = diagonal + (a[i] == b[j] ? 0U : 1U);
            diagonal = row[j + 1];
            row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

int show_help() {
    std::cout << "usage: ssh-tpm APPLET [options]\n\nSSH keys that never leave the TPM.\n\n";
    for (const auto& applet : table)
        std::cout << "  " << applet.name << std::string(12 - applet.name.size(), ' ') << applet.summary
                  << '\n';
    std::cout << "\n\"ssh-tpm APPLET --help\" tells more; the links ssh-tpm-APPLET are the same programs.\n"
                 "\"ssh-tpm --version\" prints the version.\n";
    return 0;
}

/// @returns the exit status, which is a failure if not all output could be written
int finish(std::string_view name, const auto& run) {
    try { // the last catch
        const int status = run();
        cli::finish_printing();
        return status;
    } catch (const Error& error) {
        return cli::report(name, error);
    } catch (const std::exception& error) {
        return cli::report(name, Error(Errc::io, error.what()));
    }
}

int run_applet(const Applet& applet, applets::Call call) {
    return finish(call.name, [&] {
        if (applet.run != applets::run_agent) // it takes the password after its fork
            applets::take_owner_password();
        return applet.run(call);
    });
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

int run_named(std::string_view word, std::span<char*> arguments) {
    const auto& nearest =
        *std::ranges::min_element(table, {}, [&](const Applet& applet) { return edits(word, applet.name); });
    if (nearest.name == word)
        return run_applet(nearest, {std::string(link_prefix) + std::string(word), arguments});
    return cli::report(
        program, Error(Errc::usage, "no applet \"" + std::string(word) + "\"",
                       "the nearest is \"" + std::string(nearest.name) + "\"; `ssh-tpm help` lists all"));
}

} // namespace

int sshtpm::applets::show_version() {
    std::cout << "ssh-tpm " << SSHTPM_VERSION << '\n';
    return 0;
}

int main(int argc, char** argv) {
    sshtpm::os::harden_process();
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    if (arguments.empty())
        return 2;
    const auto called = base_name(arguments[0]);
    if (called.starts_with(link_prefix))
        return run_named(called.substr(link_prefix.size()), arguments);

    for (const auto& applet : table)
        if (called == applet.openssh)
            return run_applet(applet, {std::string(called), arguments, {argv, argv + argc}});

    const std::string_view word = arguments.size() > 1 ? arguments[1] : "help";
    if (word == "--version" || word == "-V" || word == "version")
        return finish(program, applets::show_version);
    if (word == "help" || word == "--help" || word == "-h")
        return finish(program, show_help);
    return run_named(word, arguments.subspan(1));
}
