// SPDX-License-Identifier: MIT
#include "applets/attest_connection.hpp"

#include "applets/attest.hpp"
#include "applets/installation.hpp"
#include "applets/openssh_link.hpp"
#include "attest/answer.hpp"
#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "os/background.hpp"
#include "ssh/certificate.hpp"
#include "ssh/verify.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// The options of ssh that take an argument (ssh.c of OpenSSH 10).
constexpr std::string_view options_with_argument = "BbcDEeFIiJLlmOoPpQRSWw";
/// Refused here: with these, ssh opens no session, or opens another connection.
constexpr std::string_view not_for_check = "fGMNOQSsVWw";

/// @returns the letter of the option that wants the next word; 0 if none does
char wants_next_word(std::string_view option) {
    for (std::size_t i = 1; i < option.size(); ++i) {
        if (not_for_check.find(option[i]) != std::string_view::npos)
            throw Error(Errc::usage, std::string("-") + option[i] + ": this option of ssh has no use here");
        if (options_with_argument.find(option[i]) != std::string_view::npos)
            return i + 1 == option.size() ? option[i] : '\0';
    }
    return '\0';
}

/// In double quotes, for the value of an option that ssh splits into words and in which it expands tokens.
std::string quoted_for_ssh(std::string_view word) {
    std::string out = "\"";
    for (const char c : word) {
        if (c == '"' || c == '\\')
            out += '\\';
        if (c == '%')
            out += '%';
        out += c;
    }
    return out + '"';
}

} // namespace

SshWords split_ssh_words(const std::vector<std::string>& words) {
    SshWords split;
    auto word = words.begin();
    const auto take_option = [&] {
        const auto option = *word++;
        if (option.starts_with("--"))
            throw Error(Errc::usage, option + ": not an option of ssh", "the options of check come first");
        const char wanting = wants_next_word(option);
        const bool jump = option.starts_with("-J");
        if (wanting != 0 && word == words.end())
            throw Error(Errc::usage, option + ": its argument is missing");
        if (jump) { // ssh takes no -J beside -o ProxyCommand
            split.options.insert(split.options.end(),
                                 {"-o", "ProxyJump=" + (wanting != 0 ? *word++ : option.substr(2))});
            return;
        }
        split.options.push_back(option);
        if (wanting != 0)
            split.options.push_back(*word++);
    };
    const auto take_options = [&] {
        while (word != words.end() && word->size() > 1 && word->front() == '-' && *word != "--")
            take_option();
    };
    take_options();
    if (word != words.end() && *word == "--")
        ++word;
    if (word == words.end() || word->empty() || word->starts_with('-'))
        throw Error(Errc::usage, "no host was named");
    split.host = *word++;
    take_options();
    if (word != words.end() && *word == "--")
        ++word;
    split.command.assign(word, words.end());
    return split;
}

SshConnection::SshConnection(SshWords words) : words_(std::move(words)) {
    read_configuration();
    connect();
    host_key_ = read_recorded();
}

void SshConnection::connect() {
    auto command = quoted_for_ssh(running_program().string()) + " attest record-key " +
                   quoted_for_ssh((folder_.path() / "keys").string()) + " %I %K";
    if (!known_hosts_command_.empty())
        command += ' ' + known_hosts_command_;
    // What the user forwards waits for the session that follows the check.
    const auto status = run_next(
        "ssh", call({"-o", "ControlMaster=yes", "-o", "ControlPersist=300", "-o", "ClearAllForwardings=yes",
                     "-o", "KnownHostsCommand=" + command, "-o", "NoHostAuthenticationForLocalhost=no", "-o",
                     "VerifyHostKeyDNS=no", "-o", "RemoteCommand=none", "-N"}));
    if (status != 0)
        refuse(host_ + ": ssh could not connect");
}

void SshConnection::end_master() const {
    if (is_there(folder_.path() / "master"))
        (void)os::output_of(call_master({"-O", "exit"}), {}, time_limits().attest_answer,
                            attest::max_question);
}

std::string SshConnection::control_path() const {
    return "ControlPath=" + quoted_for_ssh((folder_.path() / "master").string());
}

/// Our options come first, because ssh takes the first value of an option.
std::vector<std::string> SshConnection::call(std::vector<std::string> own) const {
    std::vector<std::string> call{next_program("ssh"), "-o", control_path()};
    std::ranges::move(own, std::back_inserter(call));
    call.insert(call.end(), words_.options.begin(), words_.options.end());
    call.insert(call.end(), {"--", words_.host});
    return call;
}

/// Without the user's settings and options, which were for the connection. Without the ProxyCommand, a lost
/// master would silently become a new connection.
std::vector<std::string> SshConnection::call_master(std::vector<std::string> own) const {
    std::vector<std::string> call{
        next_program("ssh"), "-F", "none", "-o", control_path(), "-o", "ControlMaster=no", "-o",
        "ProxyCommand=false"};
    std::ranges::move(own, std::back_inserter(call));
    call.insert(call.end(), {"--", words_.host});
    return call;
}

void SshConnection::read_configuration() {
    constexpr std::size_t most = 1U << 20U;
    const auto printed = os::output_of(call({"-G"}), {}, time_limits().attest_answer, most);
    if (!printed || printed->status != 0) {
        std::string_view errors = printed ? std::string_view(printed->errors) : "it does not end";
        throw Error(Errc::usage, "ssh does not take these options: " + printable(take_line(errors)));
    }
    const auto setting = [&](std::string_view name) {
        return std::string(rest_of_line(printed->output, name));
    };
    const auto alias = setting("hostkeyalias ");
    const auto port = setting("port ");
    name_ = alias.empty() ? setting("hostname ") : alias;
    if (name_.empty() || !is_printable(name_))
        throw Error(Errc::usage, "not the name of a host: " + printable(name_));
    host_ = name_;
    if (alias.empty() && port != "22")
        host_ = '[' + host_ + "]:" + port;
    known_hosts_command_ = setting("knownhostscommand ");
    if (!known_hosts_command_.starts_with('/') &&
        !known_hosts_command_.starts_with("\"/")) // ssh skips others
        known_hosts_command_.clear();
}

/// The last key counts: if ssh knows no authority for a certificate, it looks for the key inside next.
AcceptedHostKey SshConnection::read_recorded() const {
    const auto file = folder_.path() / "keys";
    if (!is_there(file))
        refuse(host_ + ": ssh has not looked for the host key",
               "OpenSSH does so from 8.5 on (KnownHostsCommand)");
    const auto content = read_file(file, attest::max_request);
    AcceptedHostKey key;
    for (auto text = text_of(content); !text.empty();) {
        auto line = take_line(text);
        auto blob = base64_decode(take_item(line, ' '));
        const std::chrono::steady_clock::duration since_boot(
            std::strtoll(std::string(line).c_str(), nullptr, 10));
        const bool is_certificate = ssh::is_certificate(blob);
        auto plain = is_certificate ? ssh::read_certificate(blob).plain_blob : blob;
        if (!key.blob.empty() && !equal(key.blob, plain))
            refuse(host_ + ": ssh has asked for several host keys");
        key = {.blob = std::move(plain),
               .certificate = is_certificate ? std::move(blob) : Bytes(),
               .looked_up = std::chrono::steady_clock::time_point(since_boot)};
    }
    return key;
}

std::optional<os::ProgramOutput> SshConnection::ask(const std::string& subsystem,
                                                    const std::string& question) const {
    auto words = call_master({"-T", "-s"});
    words.push_back(subsystem);
    return os::output_of(words, {}, time_limits().attest_answer, attest::max_answer, os::Child::Group::shared,
                         question);
}

bool SshConnection::is_alive() const {
    const auto printed =
        os::output_of(call_master({"-O", "check"}), {}, time_limits().attest_answer, attest::max_question);
    return printed && printed->status == 0;
}

int SshConnection::run() const {
    auto words = call({"-o", "ControlMaster=no", "-o", "ProxyCommand=false"});
    words.insert(words.end(), words_.command.begin(), words_.command.end());
    return run_next("ssh", words);
}

int attest_record_key(Call& call) {
    const std::vector<std::string> words(call.arguments.begin() + 1, call.arguments.end());
    if (words.size() < 3)
        throw Error(Errc::usage, "a file, %I and %K are needed");
    if (words[1] == "HOSTNAME") {
        const UniqueFd file(::open(words[0].c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        const auto line = words[2] + ' ' + std::to_string(now) + '\n';
        if (!file || ::write(file.value(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw Error::from_errno(errno, words[0]);
    }
    if (words.size() > 3)
        os::become_command({words.begin() + 3, words.end()}, {});
    return 0;
}

} // namespace sshtpm::applets
