// SPDX-License-Identifier: MIT
#include "applets/sshd.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

/// Far more than any configuration has.
constexpr std::size_t max_sshd_output = 4 << 20;

/// Far more than a file of sshd's configuration has.
constexpr std::size_t max_sshd_config = 1 << 20;

using Clock = std::chrono::steady_clock;

/// Waits until the descriptor is readable. @throws Error(io) at `end`
void await(int descriptor, Clock::time_point end) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd event{.fd = descriptor, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 ||
        uninterrupted([&] { return ::poll(&event, 1, static_cast<int>(left.count())); }) == 0)
        throw Error(Errc::io, "sshd does not answer",
                    "it may wait for its HostKeyAgent: `systemctl restart ssh-tpm-hostkeys.service`");
}

/// Reads to the end. @throws Error(malformed) for more than max_sshd_output, Error(io) at `end`
std::string read_all(int descriptor, Clock::time_point end) {
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;) {
        await(descriptor, end);
        const auto got = uninterrupted([&] { return ::read(descriptor, chunk.data(), chunk.size()); });
        if (got <= 0)
            return text;
        if (text.size() > max_sshd_output)
            throw Error(Errc::malformed, "sshd prints more than a configuration can be");
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

/// @throws Error(not_found | io | malformed)
SshdAnswer run_sshd(std::vector<std::string> words) {
    const auto sshd = find_sshd();
    if (!sshd)
        throw Error(Errc::not_found, "no sshd found in PATH or /usr/sbin", "install openssh-server");
    const UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC)); // unlike a pipe it is never full
    if (!errors)
        throw Error::from_errno(errno, "memfd_create");
    const auto end = Clock::now() + time_limits().sshd;
    // In a group of its own: Ctrl-C must not end sshd, whose status decides what this program does.
    words.insert(words.begin(), *sshd);
    os::Child child(words, {}, errors.value(), os::Child::Group::own);
    SshdAnswer answer;
    answer.output = read_all(child.output(), end);
    await(child.pidfd(), end);
    answer.status = child.wait();
    ::lseek(errors.value(), 0, SEEK_SET);
    answer.errors = read_all(errors.value(), end);
    return answer;
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

bool is_comment(std::string_view line, std::string_view comment) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return line.substr(0, line.find_last_not_of(" \t") + 1) == comment;
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
    const auto answer = run_sshd({"-T", "-ddd"});
    SshdView view{.agents = ssh::parse_sshd_lines(answer.errors, "HostKeyAgent"),
                  .host_keys = ssh::parse_sshd_lines(answer.errors, "HostKey"),
                  .host_certificates = ssh::parse_sshd_lines(answer.errors, "HostCertificate"),
                  .loaded = ssh::parse_sshd_host_keys(answer.errors),
                  .settings = {},
                  .errors = messages_in(answer.errors)};
    if (answer.status == 0)
        view.settings = ssh::parse_sshd_settings(answer.output);
    return view;
}

const ssh::SshdSettings& settings_of(const SshdView& view) {
    if (view.settings)
        return *view.settings;
    throw Error(Errc::refused, "sshd -T fails" + (view.errors.empty() ? "" : ": " + view.errors),
                ::geteuid() == 0 ? "sshd needs a correct configuration and a host key that works: `sshd -T`"
                                 : "only root may ask sshd for its configuration: run it as root (sudo)");
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
