// ssh-tpm-hostkeys --check: would a login work that needs a host key of the agent?

#include "applets/host_key_proof.hpp"
#include "applets/hostkeys.hpp"
#include "applets/sshd_program.hpp"
#include "base/error.hpp"
#include "cli/report.hpp"
#include "protocol/client.hpp"
#include "ssh/sshd_settings.hpp"

#include <functional>

namespace sshtpm::applets {

namespace {

ssh::SshdSettings ask_for_configuration() {
    const auto answer = ask_sshd({"-T"});
    if (answer.status != 0)
        throw Error(Errc::refused, "sshd -T fails",
                    "it says why above; it wants to be run by root, and to have one host key that works");
    return ssh::parse_sshd_settings(answer.output);
}

/// Runs one check. @returns true when it found a problem, which it has told, with a hint in any case.
bool is_problem(const std::string& subject, const std::string& hint, const std::function<void()>& check) {
    try { // caught to go on with the next check
        check();
        return false;
    } catch (const Error& error) {
        cli::report(hostkeys_program, about_host_key(subject, error, hint));
        return true;
    }
}

} // namespace

int hostkeys_check(const HostkeysOptions& options) {
    ssh::SshdSettings sshd;
    // Without one host key that it can use, sshd says nothing at all: then the agent is still to be looked
    // at.
    const bool no_view = is_problem("sshd's configuration", "", [&] { sshd = ask_for_configuration(); });
    bool bad =
        no_view || is_problem("sshd's configuration", "", [&] {
            if (sshd.host_key_agent != options.socket.string())
                throw Error(Errc::refused,
                            sshd.host_key_agent.empty() ? "there is no HostKeyAgent"
                                                        : "HostKeyAgent is " + sshd.host_key_agent,
                            "ssh-tpm hostkeys --install-sshd-config, or --socket for another agent than " +
                                options.socket.string());
        });
    std::optional<protocol::Client> agent;
    std::vector<protocol::AgentKey> served;
    const bool no_agent =
        is_problem(options.socket.string(), "systemctl status ssh-tpm-hostkeys.socket", [&] {
            agent.emplace(options.socket);
            served = agent->list();
        });
    bad = bad || no_agent;
    for (const auto& path : sshd.host_keys) {
        if (no_agent)
            break;
        bad = is_problem(path, "see what the agent says: journalctl -u ssh-tpm-hostkeys.service",
                         [&] { prove_host_key(*agent, served, path); }) ||
              bad;
    }
    return bad ? 1 : 0;
}

} // namespace sshtpm::applets
