// SPDX-License-Identifier: MIT
#include "base/time_limits.hpp"

#ifdef SSHTPM_TEST_LIMITS
#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <sstream>
#endif

namespace sshtpm {

#ifdef SSHTPM_TEST_LIMITS

namespace {

struct NamedLimit {
    std::string_view name;
    decltype(&TimeLimits::answer) limit;
};

constexpr std::array named_limits{
    NamedLimit{"tpm_open", &TimeLimits::tpm_open},
    NamedLimit{"tpm_command", &TimeLimits::tpm_command},
    NamedLimit{"tpm_key_command", &TimeLimits::tpm_key_command},
    NamedLimit{"tpm_busy", &TimeLimits::tpm_busy},
    NamedLimit{"tpm_retry", &TimeLimits::tpm_retry},
    NamedLimit{"tpm_idle", &TimeLimits::tpm_idle},
    NamedLimit{"emulator_turn", &TimeLimits::emulator_turn},
    NamedLimit{"emulator_linger", &TimeLimits::emulator_linger},
    NamedLimit{"known_tpms_lock", &TimeLimits::known_tpms_lock},
    NamedLimit{"answer", &TimeLimits::answer},
    NamedLimit{"wrong_password", &TimeLimits::wrong_password},
    NamedLimit{"frame", &TimeLimits::frame},
    NamedLimit{"socket_folder", &TimeLimits::socket_folder},
    NamedLimit{"finish", &TimeLimits::finish},
    NamedLimit{"end", &TimeLimits::end},
    NamedLimit{"sshd", &TimeLimits::sshd},
    NamedLimit{"attest_question", &TimeLimits::attest_question},
    NamedLimit{"attest_login", &TimeLimits::attest_login},
    NamedLimit{"attest_answer", &TimeLimits::attest_answer},
    NamedLimit{"attest_idle", &TimeLimits::attest_idle},
    NamedLimit{"doctor", &TimeLimits::doctor},
    NamedLimit{"doctor_agent", &TimeLimits::doctor_agent},
    NamedLimit{"doctor_program", &TimeLimits::doctor_program},
    NamedLimit{"agent_answer", &TimeLimits::agent_answer},
    NamedLimit{"running_agent", &TimeLimits::running_agent},
    NamedLimit{"host_agent", &TimeLimits::host_agent},
    NamedLimit{"upstream_list", &TimeLimits::upstream_list},
    NamedLimit{"upstream_quick", &TimeLimits::upstream_quick},
    NamedLimit{"upstream_request", &TimeLimits::upstream_request},
    NamedLimit{"upstream_slow", &TimeLimits::upstream_slow},
    NamedLimit{"upstream_idle", &TimeLimits::upstream_idle},
    NamedLimit{"upstream_rest", &TimeLimits::upstream_rest},
};

/// Ends the program for a name that is not known, or a value that is not a number.
TimeLimits limits_for_test() {
    TimeLimits limits;
    const char* const variable = std::getenv("SSH_TPM_TEST_LIMITS");
    std::istringstream settings(variable == nullptr ? "" : variable);
    for (std::string name; std::getline(settings >> std::ws, name, '=');) {
        const auto found = std::ranges::find(named_limits, name, &NamedLimit::name);
        unsigned milliseconds = 0;
        if (found == named_limits.end() || !(settings >> milliseconds)) {
            std::cerr << "SSH_TPM_TEST_LIMITS: " << name << std::endl;
            std::_Exit(2);
        }
        limits.*found->limit = TimeLimits::Time(milliseconds);
    }
    return limits;
}

} // namespace

const TimeLimits& time_limits() noexcept {
    static const TimeLimits limits = limits_for_test();
    return limits;
}

#else

const TimeLimits& time_limits() noexcept {
    static constexpr TimeLimits limits;
    return limits;
}

#endif

} // namespace sshtpm
