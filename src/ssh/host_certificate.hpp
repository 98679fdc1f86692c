#pragma once
// Host certificates, judged as a client that trusts their authority judges them: sshkey_cert_check_host of
// OpenSSH.

#include "base/bytes.hpp"

#include <chrono>

namespace sshtpm::ssh {

/// True for a blob whose type is that of a certificate, of any type that OpenSSH 9.2 knows.
bool is_certificate(ByteView blob);

/// True when `certificate` is a host certificate that the key `authority` has signed, that is valid at `now`,
/// has no critical options (none is defined for hosts), and has a principal whose pattern matches `host`.
/// The signature is checked, with what verify_signature takes: an authority with an sk- key is not believed.
/// What does not parse is just false.
bool certifies_host(ByteView certificate, ByteView authority, std::string_view host,
                    std::chrono::system_clock::time_point now);

} // namespace sshtpm::ssh
