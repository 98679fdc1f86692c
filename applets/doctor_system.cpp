// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the versions that a bug report needs.

#include "applets/doctor.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "ssh/digest.hpp"

#include <sys/utsname.h>

namespace sshtpm::applets {

namespace {

using cli::Verdict;

/// os-release(5).
std::string distribution() {
    constexpr std::size_t longest = std::size_t{64} * 1024;
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
        try { // caught because the other file may be there
            const auto content = read_file(path, longest);
            const auto name = value_in(text_of(content), "PRETTY_NAME=");
            return name.empty() ? "an unnamed distribution" : std::string(name);
        } catch (const Error&) {
        }
    }
    return "an unknown distribution";
}

} // namespace

void check_system(cli::Findings& findings) {
    findings.add(
        {Verdict::ok, "version", "",
         std::string("ssh-tpm " SSHTPM_VERSION ", built with tpm2-tss " SSHTPM_TSS2_VERSION ", runs with ") +
             ssh::openssl_version(),
         ""});
    if (const auto version = try_output_of({"ssh", "-V"}); version && version->status == 0)
        findings.add({Verdict::ok, "openssh", "", version->errors.substr(0, version->errors.find('\n')), ""});
    else
        findings.add({Verdict::fail, "openssh", "", "ssh -V does not work",
                      "install OpenSSH: `sudo apt install openssh-client`"});
    utsname system{};
    ::uname(&system);
    findings.add({Verdict::ok, "system", "",
                  distribution() + ", Linux " + system.release + " on " + system.machine, ""});
}

} // namespace sshtpm::applets
