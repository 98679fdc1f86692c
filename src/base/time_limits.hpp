#pragma once
// Times after which the program gives up, lets go or tries again: all of them but systemd's.

#include <chrono>

namespace sshtpm {

struct TimeLimits {
    using Time = std::chrono::milliseconds;

    // The TPM.
    Time tpm_open{10'000};         ///< until the emulator takes a connection
    Time tpm_command{10'000};      ///< signatures take 0.2 to 0.6 s on chips
    Time tpm_key_command{180'000}; ///< commands that make or take in a key: RSA can take more than a minute
    Time tpm_busy{30'000};         ///< while it answers that it is busy
    Time tpm_idle{5'000};          ///< a session or key that no signature has needed for so long is flushed
    Time emulator_turn{60'000};    ///< while another program uses the emulator: an RSA key takes seconds
    Time emulator_linger{10'000};  ///< how long an unused emulator keeps running
    Time known_tpms_lock{2'000};   ///< while another program writes that file

    // A person.
    Time answer{120'000};        ///< to a question for a PIN or a confirmation
    Time wrong_password{10'000}; ///< the longest pause after a wrong password to unlock the agent

    // Clients.
    Time frame{30'000};        ///< from the first byte of a frame to the last
    Time socket_folder{3'000}; ///< while another agent that starts has it locked
    Time end{2'000};           ///< for the TPM's thread, when the agent ends

    // Upstream agents.
    Time upstream_list{1'000};      ///< for a list, or another short answer
    Time upstream_quick{250};       ///< for an agent that is left out, over a connection that is open
    Time upstream_request{150'000}; ///< as long as a person may take, and a bit more
    Time upstream_idle{30'000};     ///< an unused connection is closed: the other agent may have few of them
    Time upstream_rest{60'000};     ///< the longest back-off after no answer, or garbage
};

/// The limits of this process. A build with -Dtest_limits=true lets SSH_TPM_TEST_LIMITS change them, in
/// milliseconds: "tpm_command=1000 frame=500".
const TimeLimits& time_limits() noexcept;

} // namespace sshtpm
