// One executable for all applets: the one that its name or its first argument says.

#include "applets/applets.hpp"
#include "applets/tpm_options.hpp"
#include "base/error.hpp"
#include "cli/report.hpp"
#include "os/harden.hpp"

#include <array>
#include <iostream>
#include <string>

namespace {

using sshtpm::Errc;
using sshtpm::Error;
using sshtpm::cli::Applet;
namespace applets = sshtpm::applets;
namespace cli = sshtpm::cli;

constexpr std::array table{
    Applet{"keygen", "make keys in the TPM, and look at them", applets::run_keygen},
    Applet{"agent", "serve the keys to ssh", applets::run_agent},
    Applet{"add", "add keys to a running agent", applets::run_add},
    Applet{"hostkeys", "keep sshd's host keys in the TPM", applets::run_hostkeys},
};

constexpr std::string_view program = "ssh-tpm", link_prefix = "ssh-tpm-";

int show_version() {
    std::cout << "ssh-tpm " << SSHTPM_VERSION << '\n';
    return 0;
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

/// Runs to the exit status, which is a failure's when not all of the output could be written.
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

int run_applet(const Applet& applet, std::span<char*> arguments) {
    return finish(std::string(link_prefix) + std::string(applet.name), [&] {
        if (applet.run != applets::run_agent) // which takes it after its fork
            applets::take_owner_password();
        return applet.run(arguments);
    });
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

int run_named(std::string_view word, std::span<char*> arguments) {
    if (const auto* applet = cli::find(table, word))
        return run_applet(*applet, arguments);
    return cli::report(program, Error(Errc::usage, "no applet \"" + std::string(word) + "\"",
                                      "the nearest is \"" + std::string(cli::nearest(table, word).name) +
                                          "\"; ssh-tpm help lists all"));
}

} // namespace

int main(int argc, char** argv) {
    sshtpm::os::harden_process();
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    if (arguments.empty())
        return 2;
    const auto called = base_name(arguments[0]);
    if (called.starts_with(link_prefix))
        return run_named(called.substr(link_prefix.size()), arguments);

    const std::string_view word = arguments.size() > 1 ? arguments[1] : "help";
    if (word == "--version" || word == "-V" || word == "version")
        return finish(program, show_version);
    if (word == "help" || word == "--help" || word == "-h")
        return finish(program, show_help);
    return run_named(word, arguments.subspan(1));
}
