// SPDX-License-Identifier: MIT
// ssh-tpm-attest: its commands.

#include "applets/attest.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <array>
#include <iostream>

namespace sshtpm::applets {

namespace {

struct Command {
    std::string_view name, summary;
    int (*run)(Call& call);
};

constexpr std::array attest_commands{
    Command{"request", "ask for certificates of keys in this TPM", attest_request},
    Command{"install", "open the answer, and put the certificates beside the keys", attest_install},
    Command{"verify", "check requests (no TPM needed)", attest_verify},
    Command{"sign", "check a request, sign its keys with ssh-keygen, and seal the certificates", attest_sign},
    Command{"check", "check which boot a host is in, by its TPM", attest_check},
    Command{"ssh", "the same, then log in", attest_ssh},
    Command{"serve", "answer such checks", attest_serve},
    Command{"seal", "check a request, and seal certificates that were made for it", attest_seal},
    Command{"record-key", "", attest_record_key}, // not listed, because ssh alone runs it
};

int list_commands() {
    std::cout
        << "usage: ssh-tpm-attest COMMAND [options]\n\n"
           "Proves that keys are in a TPM: to a certificate authority, and to the clients of a host.\n\n";
    for (const auto& command : attest_commands)
        if (!command.summary.empty())
            std::cout << "  " << command.name << std::string(10 - command.name.size(), ' ') << command.summary
                      << '\n';
    std::cout << "\n\"ssh-tpm-attest COMMAND --help\" tells more.\n";
    return 0;
}

} // namespace

int run_attest(Call& call) {
    log::configure(call.name, log::Level::info);
    const std::string_view word = call.arguments.size() > 1 ? call.arguments[1] : "--help";
    if (word == "-h" || word == "--help" || word == "-help")
        return list_commands();
    if (word == "-V" || word == "--version")
        return show_version();
    const auto* const found = std::ranges::find(attest_commands, word, &Command::name);
    if (found == attest_commands.end())
        throw Error(Errc::usage, "no command \"" + std::string(word) + "\"",
                    "`ssh-tpm-attest --help` lists all");
    call.arguments = call.arguments.subspan(1);
    return found->run(call);
}

} // namespace sshtpm::applets
