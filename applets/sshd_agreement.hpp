#pragma once
// Whether sshd could serve logins with what was just written for it.

namespace sshtpm::applets {

/// sshd's word on it: that it is right, and that it is read at all. @throws Error(refused)
void expect_sshd_to_agree();

/// That the agent signs with one HostKey of the drop-in at least: else nobody could log in any more once sshd
/// reads it. Those with which it does not sign, while with another it does, are warned of.
/// @throws Error(refused)
void expect_keys_to_work();

/// That sshd has another host key once the drop-in is gone. @throws Error(refused), but warns with `force`.
void expect_sshd_to_go_on(bool force);

} // namespace sshtpm::applets
