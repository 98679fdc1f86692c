// SPDX-License-Identifier: MIT
#include "os/paths.hpp"

#include "support/test.hpp"
#include "support/variable.hpp"

#include <filesystem>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

TEST_CASE("SSH_TPM_AUTH_SOCK names the socket; without it, it is in XDG_RUNTIME_DIR") {
    const Variable runtime("XDG_RUNTIME_DIR", "/run/somewhere");
    for (const auto& [variable, socket] :
         {std::pair{"/a/socket", "/a/socket"}, std::pair{"", "/run/somewhere/ssh-tpm-agent.sock"}}) {
        const Variable given("SSH_TPM_AUTH_SOCK", variable);
        CHECK(os::default_socket() == socket);
    }
}

TEST_CASE("the socket of an agent that runs a command has a process in its name, and is known by it") {
    const Variable given("SSH_TPM_AUTH_SOCK", ""), runtime("XDG_RUNTIME_DIR", "/run/somewhere");
    CHECK(os::command_socket(4711) == "/run/somewhere/ssh-tpm-agent.4711.sock");
    CHECK(os::is_command_socket("ssh-tpm-agent.4711.sock"));
    for (const char* name : {"ssh-tpm-agent.sock", "ssh-tpm-agent..sock", "ssh-tpm-agent.1x.sock",
                             "ssh-tpm-agent.-1.sock", "ssh-tpm-agent.1.sock.", "xssh-tpm-agent.1.sock", ""}) {
        INFO(name);
        CHECK_FALSE(os::is_command_socket(name));
    }
}

TEST_CASE("a relative XDG_RUNTIME_DIR is ignored, as its specification says") {
    const Variable socket("SSH_TPM_AUTH_SOCK", ""), runtime("XDG_RUNTIME_DIR", "somewhere"),
        home("HOME", "/h");
    const auto run = std::filesystem::path("/run/user") / std::to_string(::getuid());
    const auto expected = std::filesystem::is_directory(run)
                              ? run / "ssh-tpm-agent.sock"
                              : std::filesystem::path("/h/.ssh/agent/ssh-tpm-agent.sock");
    CHECK(os::default_socket() == expected);
}

TEST_CASE(
    "what is kept for a user, the emulator's state too, is under its variable, XDG_STATE_HOME or HOME") {
    const Variable home("HOME", "/h");
    struct Row {
        const char *own, *xdg, *emulator, *state;
    };
    for (const auto& row :
         {Row{"/s", "/x", "/s", "/x/ssh-tpm"}, Row{"", "/x", "/x/ssh-tpm/swtpm", "/x/ssh-tpm"},
          Row{"", "", "/h/.local/state/ssh-tpm/swtpm", "/h/.local/state/ssh-tpm"},
          Row{"", "relative", "/h/.local/state/ssh-tpm/swtpm", "/h/.local/state/ssh-tpm"}}) {
        const Variable own("SSH_TPM_SWTPM_STATE", row.own), xdg("XDG_STATE_HOME", row.xdg);
        CHECK(os::emulator_state() == row.emulator);
        CHECK(os::state_folder() == row.state);
    }
}

TEST_CASE("without HOME, the home folder is the user database's") {
    const Variable home("HOME", "");
    CHECK(os::home().is_absolute());
}
