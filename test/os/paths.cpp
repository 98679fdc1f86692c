#include "os/paths.hpp"

#include "support/test.hpp"
#include "support/variable.hpp"

#include <filesystem>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

TEST_CASE("SSH_TPM_AUTH_SOCK names the socket before anything else") {
    const Variable socket("SSH_TPM_AUTH_SOCK", "/a/socket"), runtime("XDG_RUNTIME_DIR", "/run/somewhere");
    CHECK(os::default_socket() == "/a/socket");
}

TEST_CASE("without it, the socket is in XDG_RUNTIME_DIR") {
    const Variable socket("SSH_TPM_AUTH_SOCK", ""), runtime("XDG_RUNTIME_DIR", "/run/somewhere");
    CHECK(os::default_socket() == "/run/somewhere/ssh-tpm-agent.sock");
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

TEST_CASE("the emulator's state is under SSH_TPM_SWTPM_STATE, XDG_STATE_HOME or HOME, in this order") {
    const Variable home("HOME", "/h");
    {
        const Variable own("SSH_TPM_SWTPM_STATE", "/s"), xdg("XDG_STATE_HOME", "/x");
        CHECK(os::emulator_state() == "/s");
    }
    {
        const Variable own("SSH_TPM_SWTPM_STATE", ""), xdg("XDG_STATE_HOME", "/x");
        CHECK(os::emulator_state() == "/x/ssh-tpm/swtpm");
    }
    const Variable own("SSH_TPM_SWTPM_STATE", ""), xdg("XDG_STATE_HOME", "");
    CHECK(os::emulator_state() == "/h/.local/state/ssh-tpm/swtpm");
}

TEST_CASE("what is kept for a user is under XDG_STATE_HOME, else under HOME") {
    const Variable home("HOME", "/h");
    {
        const Variable xdg("XDG_STATE_HOME", "/x");
        CHECK(os::state_folder() == "/x/ssh-tpm");
    }
    const Variable xdg("XDG_STATE_HOME", "relative");
    CHECK(os::state_folder() == "/h/.local/state/ssh-tpm");
}

TEST_CASE("without HOME, the home folder is the user database's") {
    const Variable home("HOME", "");
    CHECK(os::home().is_absolute());
}
