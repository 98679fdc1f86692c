#include "applets/sshd_program.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

/// Far more than any configuration has.
constexpr std::size_t max_output = 4 << 20;

/// sshd wants to be called by its absolute path. The folders of system programs may not be in a person's
/// PATH.
std::optional<std::string> find_sshd() {
    return os::find_program("sshd", "/usr/local/sbin:/usr/sbin:/sbin");
}

/// A file without a name: unlike a pipe it is never full.
UniqueFd nameless_file() {
    UniqueFd file(::memfd_create("errors", MFD_CLOEXEC));
    if (!file)
        throw Error::from_errno(errno, "memfd_create");
    return file;
}

void show(const UniqueFd& errors) {
    std::array<char, 4096> chunk{};
    off_t at = 0;
    for (ssize_t got = 0; (got = ::pread(errors.value(), chunk.data(), chunk.size(), at)) > 0; at += got)
        std::cerr.write(chunk.data(), got);
    std::cerr.flush();
}

} // namespace

bool has_sshd() {
    return find_sshd().has_value();
}

SshdAnswer ask_sshd(const std::vector<std::string>& options) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    std::vector<std::string> argv{*sshd};
    argv.insert(argv.end(), options.begin(), options.end());
    // sshd takes every HostKey for a private key first, and is loud about a .pub file that others can read.
    const auto errors = nameless_file();
    os::Child child(argv, {}, errors.value());
    SshdAnswer answer;
    std::array<char, 4096> chunk{};
    for (;;) {
        const auto got = ::read(child.output(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        if (answer.output.size() > max_output)
            throw Error(Errc::malformed, argv[0] + " prints more than a configuration can be");
        answer.output.append(chunk.data(), static_cast<std::size_t>(got));
    }
    answer.status = child.wait();
    if (answer.status != 0)
        show(errors);
    return answer;
}

} // namespace sshtpm::applets
