// SPDX-License-Identifier: MIT
#include "applets/sshd.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <sys/mman.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

/// Far more than any configuration has.
constexpr std::size_t max_sshd_output = 4 << 20;

/// Reads to the end. @throws Error(malformed) for more than max_sshd_output
std::string read_all(int descriptor) {
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;) {
        const auto got = uninterrupted([&] { return ::read(descriptor, chunk.data(), chunk.size()); });
        if (got <= 0)
            return text;
        if (text.size() > max_sshd_output)
            throw Error(Errc::malformed, "sshd prints more than a configuration can be");
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

/// @throws Error(not_found)
SshdAnswer run_sshd(std::vector<std::string> words) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC)); // unlike a pipe it is never full
    if (!errors)
        throw Error::from_errno(errno, "memfd_create");
    // In a group of its own: Ctrl-C must not end sshd, whose status decides what this program does.
    words.insert(words.begin(), *sshd);
    os::Child child(words, {}, errors.value(), os::Child::Group::own);
    SshdAnswer answer;
    answer.output = read_all(child.output());
    answer.status = child.wait();
    ::lseek(errors.value(), 0, SEEK_SET);
    answer.errors = read_all(errors.value());
    return answer;
}

} // namespace

// A user's PATH may lack these folders.
std::optional<std::string> find_sshd() {
    return os::find_program("sshd", "/usr/local/sbin:/usr/sbin:/sbin");
}

SshdAnswer ask_sshd(const std::string& option) {
    auto answer = run_sshd({option});
    if (answer.status != 0)
        std::cerr << answer.errors;
    return answer;
}

SshdView ask_for_configuration() {
    const auto debugged = run_sshd({"-T", "-ddd"}).errors;
    auto answer = run_sshd({"-T"});
    SshdView view{.agents = ssh::parse_sshd_lines(debugged, "HostKeyAgent"),
                  .host_keys = ssh::parse_sshd_lines(debugged, "HostKey"),
                  .settings = {},
                  .errors = std::move(answer.errors)};
    if (answer.status == 0)
        view.settings = ssh::parse_sshd_settings(answer.output);
    return view;
}

const ssh::SshdSettings& settings_of(const SshdView& view) {
    if (view.settings)
        return *view.settings;
    std::cerr << view.errors;
    throw Error(Errc::refused, "sshd -T fails",
                "its message is above; it must run as root, and needs a host key that works");
}

std::string place_of(const ssh::SshdLine& line) {
    return line.file + " line " + std::to_string(line.number);
}

std::string in_line_of(const std::string& path, const SshdView& view) {
    const auto line = std::ranges::find(view.host_keys, path, &ssh::SshdLine::value);
    return line == view.host_keys.end() ? "" : " (" + place_of(*line) + ")";
}

} // namespace sshtpm::applets
