#include "applets/openssh_link.hpp"

#include "base/file.hpp"
#include "base/pem.hpp"
#include "base/printable.hpp"
#include "base/unique_fd.hpp"
#include "cli/report.hpp"
#include "os/background.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

bool is_ssh_tpm(const fs::path& program) {
    struct stat self {
    }, other{};
    if (::stat("/proc/self/exe", &self) == 0 && ::stat(program.c_str(), &other) == 0 &&
        self.st_dev == other.st_dev && self.st_ino == other.st_ino)
        return true;
    std::error_code failure;
    return fs::canonical(program, failure).filename() == "ssh-tpm";
}

bool is_program(const fs::path& path) {
    std::error_code failure;
    return fs::is_regular_file(path, failure) && ::access(path.c_str(), X_OK) == 0;
}

bool has_tpm_key(const fs::path& file) {
    try { // caught because the other program reports it
        const auto content = read_file(file, std::size_t{64} * 1024);
        const auto found = find_private_key(text_of(content));
        return found && (found->label.starts_with("TSS2 ") || found->label.starts_with("TPM "));
    } catch (const Error&) {
        return false;
    }
}

} // namespace

std::string next_program(std::string_view name) {
    std::istringstream folders(os::variable("PATH").value_or(""));
    for (std::string folder; std::getline(folders, folder, ':');) {
        const auto path = fs::path(folder.empty() ? "." : folder) / name;
        if (is_program(path) && !is_ssh_tpm(path))
            return path.string();
    }
    throw Error(Errc::not_found, "no other " + std::string(name) + " in PATH",
                "install OpenSSH's programs, or add their folder to PATH");
}

void hand_over(const Call& call, std::string_view reason) {
    auto arguments = call.original;
    try { // caught to say why
        arguments.at(0) = next_program(call.name);
    } catch (const Error& error) {
        throw Error(error.code(),
                    printable(reason) + "; this is for OpenSSH's program, and there is " + error.what(),
                    error.hint());
    }
    os::become_command(arguments, {});
}

int run_next(const Call& call, std::vector<std::string> arguments) {
    arguments.at(0) = next_program(call.name);
    const pid_t child = ::fork();
    if (child < 0)
        throw Error::from_errno(errno, arguments[0]);
    if (child == 0) {
        try { // caught because the child must not go on as this program
            os::become_command(arguments, {});
        } catch (const Error& error) {
            ::_exit(cli::report(call.name, error));
        }
    }
    int status = 0;
    if (uninterrupted([&] { return ::waitpid(child, &status, 0); }) < 0)
        throw Error::from_errno(errno, arguments[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool names_tpm_key(const std::string& file) {
    std::error_code failure;
    const auto status = fs::status(file, failure);
    if (fs::is_regular_file(status))
        return has_tpm_key(file);
    return !fs::exists(status) && has_tpm_key(file + ".tpm");
}

int show_help(const Call& call, std::string_view usage, std::string_view about,
              const std::vector<cli::Option>& options, std::string_view closing) {
    std::string lines(usage);
    if (call.as_openssh()) {
        const auto own = "ssh-tpm-" + call.name.substr(call.name.find('-') + 1);
        for (auto at = lines.find(own); at != std::string::npos; at = lines.find(own, at))
            lines.replace(at, own.size(), call.name);
        lines += "\n\nThis is ssh-tpm under the name " + call.name +
                 ". It serves the options below for TPM keys, and hands every other\n"
                 "call to the next " +
                 call.name + " in PATH; ssh-tpm(7) tells which.";
    }
    std::cout << cli::help_text(lines, about, options) << closing;
    return 0;
}

} // namespace sshtpm::applets
