// SPDX-License-Identifier: MIT
#pragma once
// A connection of ssh to the host that is checked. The question, the answer and the session all use it, so
// the host key that ssh has accepted is that of the host that answers.

#include "base/bytes.hpp"
#include "os/child.hpp"
#include "os/private_folder.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// The words behind our own options: options of ssh, the host, and a command.
struct SshWords {
    std::vector<std::string> options; ///< -J as -o ProxyJump=
    std::string host;                 ///< as for ssh: [user@]host or a URI
    std::vector<std::string> command;
};

/// Splits the words as ssh does, which takes options behind the host too.
/// @throws Error(usage) without a host, and for an option that would change what the connection is for
SshWords split_ssh_words(const std::vector<std::string>& words);

/// A key that ssh has accepted for the host.
struct AcceptedHostKey {
    Bytes blob; ///< of the key, without a certificate around it
    /// The certificate that ssh has accepted, by an authority in known_hosts; empty if it was the key itself.
    Bytes certificate;
    std::chrono::steady_clock::time_point looked_up = {}; ///< during the key exchange
};

/// A master of connection sharing (ssh_config(5), ControlMaster) that ends with this object, or this process.
class SshConnection {
  public:
    /// Connects and logs in, with ssh's own questions.
    /// @throws Error(refused) if ssh could not connect, or has asked for no host key
    explicit SshConnection(SshWords words);
    SshConnection(const SshConnection&) = delete;
    SshConnection& operator=(const SshConnection&) = delete;

    /// The name in known_hosts: HostKeyAlias, or the host's, as "[name]:port" for other ports than 22.
    const std::string& host() const noexcept { return host_; }
    /// The same without a port, for the principals of certificates.
    const std::string& name() const noexcept { return name_; }
    const AcceptedHostKey& host_key() const noexcept { return host_key_; }

    /// Sends a question to a subsystem. @returns what it prints, and ssh; nothing if it does not end in time
    std::optional<os::ProgramOutput> ask(const std::string& subsystem, const std::string& question) const;
    /// True if the connection is still there.
    bool is_alive() const;
    /// Runs the command of the words, or a shell. @returns its exit status
    int run() const;

  private:
    std::vector<std::string> call(std::vector<std::string> own) const;
    std::vector<std::string> call_master(std::vector<std::string> own) const;
    std::string control_path() const;
    void read_configuration();
    void connect();
    void end_master() const;
    AcceptedHostKey read_recorded() const;

    SshWords words_;
    os::PrivateFolder folder_{os::PrivateFolder::Place::anywhere, [this] { end_master(); }};
    std::string host_, name_;
    std::string known_hosts_command_; ///< the user's own
    AcceptedHostKey host_key_;
};

} // namespace sshtpm::applets
