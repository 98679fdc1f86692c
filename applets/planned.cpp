// The applets that are not written yet: they have their names and links, and say so.

#include "applets/applets.hpp"
#include "base/error.hpp"
#include "cli/options.hpp"

#include <iostream>

namespace sshtpm::applets {

namespace {

/// --help is answered; everything else is the error.
int only_help(std::span<char*> arguments, std::string_view usage, const Error& error) {
    if (!cli::parse_options(arguments, {}).help)
        throw Error(error);
    std::cout << cli::help_text(usage, std::string("Not yet: ") + error.what() + ". " + error.hint() + ".",
                                {});
    return 0;
}

} // namespace

int run_hostkeys(std::span<char*> arguments) {
    return only_help(arguments, "usage: ssh-tpm-hostkeys",
                     Error(Errc::unsupported, "this version cannot manage host keys",
                           "Sshd's HostKeyAgent can point to an ssh-tpm-agent that serves them"));
}

} // namespace sshtpm::applets
