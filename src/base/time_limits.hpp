// SPDX-License-Identifier: MIT
#pragma once
// How long the program waits for anything, except for systemd (os/systemd).

#include <chrono>

namespace sshtpm {

struct TimeLimits {
    using Time = std::chrono::milliseconds;

    // The TPM.
    Time tpm_open{10'000};         ///< until the emulator accepts a connection
    Time tpm_command{10'000};      ///< signatures take 0.2 to 0.6 s on chips
    Time tpm_key_command{180'000}; ///< commands that create or import a key: RSA can take more than a minute
    Time tpm_busy{30'000};         ///< while the TPM answers that it is busy
    Time tpm_retry{5'000};         ///< until the agent looks again for a TPM that is away
    Time tpm_idle{5'000};          ///< unused sessions and keys are flushed after this time
    Time emulator_turn{60'000};    ///< while another program uses the emulator; an RSA key takes seconds
    Time emulator_linger{10'000};  ///< how long an unused emulator keeps running
    Time known_tpms_lock{2'000};   ///< while another program writes the file of known TPMs

    // A person.
    Time answer{120'000};        ///< for a PIN or a confirmation
    Time wrong_password{10'000}; ///< the longest pause after a wrong password to unlock the agent

    // Clients.
    Time frame{30'000};        ///< from the first byte of a frame to the last
    Time socket_folder{3'000}; ///< while another agent is starting and has it locked
    Time finish{2'000};        ///< for the open connections, after SIGTERM
    Time end{2'000};           ///< for the TPM thread, when the agent ends

    // ssh-tpm-attest.
    Time attest_question{2'000}; ///< of a client to "serve", which sends it at once
    Time attest_login{20'000};   ///< from the key exchange to the answer: the host must not boot anew
    Time attest_answer{10'000};  ///< of a host to "check", whose boot it tells
    Time attest_idle{300'000};   ///< until "serve" ends, which systemd starts again

    // ssh-tpm-doctor.
    Time doctor{12'000};        ///< for all checks, which run beside each other
    Time doctor_agent{2'000};   ///< for an answer of an agent
    Time doctor_program{3'000}; ///< for another program, such as systemctl

    // Other programs.
    Time sshd{3'000};               ///< for sshd to print its configuration
    Time agent_answer{5'000};       ///< for a connection, and an answer that needs neither a person nor a TPM
    Time running_agent{10'000};     ///< for an agent of this program to end by -k
    Time host_agent{5'000};         ///< for all answers about host keys, which no person is asked for
    Time upstream_list{1'000};      ///< for a list or another short answer
    Time upstream_quick{250};       ///< for an agent in back-off, over an open connection
    Time upstream_request{150'000}; ///< longer than `answer`: the other agent may ask a person
    Time upstream_slow{5'000};      ///< until the log names an agent that does not answer such a request
    Time upstream_idle{30'000};     ///< unused connections are closed after this
    Time upstream_rest{60'000};     ///< the longest back-off
};

/// The limits of this process. In a build with -Dtest_limits=true, SSH_TPM_TEST_LIMITS changes them:
/// "tpm_command=1000 frame=500", in milliseconds.
const TimeLimits& time_limits() noexcept;

} // namespace sshtpm
