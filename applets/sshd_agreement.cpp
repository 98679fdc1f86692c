#include "applets/sshd_agreement.hpp"

#include "applets/host_key_proof.hpp"
#include "applets/hostkeys.hpp"
#include "applets/installed_files.hpp"
#include "applets/sshd_program.hpp"
#include "cli/report.hpp"
#include "ssh/sshd_settings.hpp"

#include <sstream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view program = "ssh-tpm-hostkeys";
constexpr const char* first_the_agent =
    "sshd needs the agent and the keys: ssh-tpm keygen -A, --install-system-units, and "
    "systemctl enable --now ssh-tpm-hostkeys.socket come first";

/// The paths behind "HostKey" in what is installed for sshd.
std::vector<std::string> installed_host_keys() {
    constexpr std::string_view word = "HostKey ";
    std::vector<std::string> paths;
    for (const auto& file : installed_files()) {
        if (!file.name.starts_with("sshd/"))
            continue;
        std::istringstream text{std::string(file.text)};
        for (std::string line; std::getline(text, line);)
            if (line.starts_with(word))
                paths.push_back(line.substr(word.size()));
    }
    return paths;
}

Error taken_back(const std::string& what, const std::string& hint) {
    return {Errc::refused, what + "; what was written is taken back", hint};
}

} // namespace

void expect_sshd_to_agree() {
    if (ask_sshd({"-t"}).status != 0)
        throw taken_back("sshd -t refuses the configuration", first_the_agent);
    const auto answer = ask_sshd({"-T"});
    const auto sshd = ssh::parse_sshd_settings(answer.output);
    if (answer.status == 0 && sshd.host_key_agent != system_socket)
        throw taken_back("sshd does not read what was written for it (its HostKeyAgent is " +
                             (sshd.host_key_agent.empty() ? "none" : sshd.host_key_agent) + ")",
                         "/etc/ssh/sshd_config has to begin with: Include /etc/ssh/sshd_config.d/*.conf");
}

void expect_keys_to_work() {
    std::optional<protocol::Client> agent;
    std::vector<protocol::AgentKey> served;
    try { // caught to say what it means for sshd
        agent.emplace(system_socket);
        served = agent->list();
    } catch (const Error& error) {
        throw taken_back("sshd would ask an agent that does not answer: " + std::string(error.what()),
                         first_the_agent);
    }
    const auto paths = installed_host_keys();
    std::vector<Error> problems;
    for (const auto& path : paths) {
        try { // caught to try the others
            prove_host_key(*agent, served, path);
        } catch (const Error& error) {
            problems.push_back(about_host_key(
                path, error, "see what the agent says: journalctl -u ssh-tpm-hostkeys.service"));
        }
    }
    if (problems.size() < paths.size()) {
        for (const auto& problem : problems)
            cli::warn(hostkeys_program, problem);
        return;
    }
    for (const auto& problem : problems)
        cli::report(hostkeys_program, problem);
    throw taken_back("no login could be served: the agent signs with none of these host keys",
                     "mend what is said above; keys of a hierarchy have an agent, and a file for sshd, of "
                     "their own (ssh-tpm-hostkeys(8))");
}

void expect_sshd_to_go_on(bool force) {
    if (!has_sshd() || ask_sshd({"-t"}).status == 0)
        return;
    const std::string what = "without what was installed for it, sshd -t refuses its configuration";
    const std::string keys = "where it has no host key left, ssh-keygen -A makes keys in files";
    if (!force)
        throw Error(Errc::refused, what + "; everything is put back", keys + "; --force removes it anyway");
    cli::warn(hostkeys_program, Error(Errc::refused, what, keys));
}

} // namespace sshtpm::applets
