// SPDX-License-Identifier: MIT
#include "os/rights.hpp"

#include <cerrno>
#include <memory>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace sshtpm::os {

void give_up_new_privileges() noexcept {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

bool give_up_network() noexcept {
    give_up_new_privileges();
    const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(SCMP_ACT_ALLOW),
                                                                     ::seccomp_release);
    if (!filter)
        return false;
    const scmp_arg_cmp not_unix{.arg = 0, .op = SCMP_CMP_NE, .datum_a = AF_UNIX, .datum_b = 0};
    bool complete = true;
    for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)})
        complete &=
            ::seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1, &not_unix) == 0;
    complete &= ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0) == 0;
    // Else a program of another architecture, such as an emulator of a TPM, would be killed.
    complete &= ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) == 0;
    return complete && ::seccomp_load(filter.get()) == 0;
}

} // namespace sshtpm::os
