// SPDX-License-Identifier: MIT
#include "applets/openssh_link.hpp"

#include "base/printable.hpp"
#include "base/unique_fd.hpp"
#include "cli/report.hpp"
#include "os/background.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

bool is_ssh_tpm(const std::string& program) {
    std::error_code failure;
    return fs::equivalent(program, "/proc/self/exe", failure) ||
           fs::canonical(program, failure).filename() == "ssh-tpm";
}

/// "ssh-tpm-add" for ssh-add.
std::string own_name(const Call& call) {
    return "ssh-tpm-" + call.name.substr(call.name.find('-') + 1);
}

/// The number of times that this call was handed over, in the environment.
constexpr const char* depth_variable = "SSH_TPM_HANDED_OVER";

std::size_t depth() {
    return os::variable(depth_variable).value_or("").size();
}

std::string one_deeper() {
    return std::string(depth_variable) + "=" + std::string(depth() + 1, 'x');
}

} // namespace

std::string next_program(std::string_view name) {
    constexpr std::size_t deepest = 16;
    if (depth() >= deepest)
        throw Error(Errc::not_found,
                    "programs that run this one again and again: no other " + std::string(name),
                    "look at each " + std::string(name) + " in PATH: `type -a " + std::string(name) + "`");
    if (auto path = os::find_program(name, {}, [](const auto& found) { return !is_ssh_tpm(found); }))
        return std::move(*path);
    throw Error(Errc::not_found, "no other " + std::string(name) + " in PATH",
                "install OpenSSH's programs, or add their folder to PATH");
}

void hand_over(const Call& call, std::string_view reason) {
    auto arguments = call.original;
    try { // caught to say why
        arguments.at(0) = next_program(call.name);
    } catch (const Error& error) {
        throw Error(error.code(),
                    printable(reason) + "; OpenSSH's " + call.name + " is needed: " + error.what(),
                    error.hint());
    }
    os::become_command(arguments, {one_deeper()});
}

int run_next(const std::string& name, std::vector<std::string> arguments) {
    arguments.at(0) = next_program(name);
    const pid_t parent = ::getpid(), child = ::fork();
    if (child < 0)
        throw Error::from_errno(errno, arguments[0]);
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM); // this process may be killed
        if (::getppid() != parent)
            ::_exit(1);
        try { // caught because the child must not go on as this program
            os::become_command(arguments, {one_deeper()});
        } catch (const Error& error) {
            ::_exit(cli::report(name, error));
        }
    }
    if (const auto ended = os::open_pidfd(child))
        os::wait_or_end(ended.value());
    int status = 0;
    if (uninterrupted([&] { return ::waitpid(child, &status, 0); }) < 0)
        throw Error::from_errno(errno, arguments[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int show_help(const Call& call, std::string_view usage, std::string_view about,
              const std::vector<cli::Option>& options, std::string_view closing) {
    if (call.as_openssh())
        std::cout << "usage: " << call.name
                  << " [options]\n\nThis is ssh-tpm. It does what is for TPM keys, and runs the next "
                  << call.name
                  << "\nin PATH for everything else. ssh-tpm(7) tells what is for TPM keys,\nand "
                  << own_name(call) << " --help lists the options.\n";
    else
        std::cout << cli::help_text(usage, about, options) << closing;
    return 0;
}

} // namespace sshtpm::applets
