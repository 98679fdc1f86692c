#include "tpm/pin.hpp"

#include "base/error.hpp"
#include "base/traces.hpp"

namespace sshtpm::tpm {

Auth to_auth(Secret typed) {
    while (!typed.empty() && typed.view().back() == 0)
        typed.truncate(typed.size() - 1);
    if (typed.size() > max_pin)
        throw Error(Errc::usage, "the PIN is longer than " + std::to_string(max_pin) + " bytes",
                    "a TPM takes at most " + std::to_string(max_pin) + " bytes");
    if (typed.empty())
        return nullptr;
    // Into memory of its own size: a cached PIN should not hold the page of a long answer.
    auto auth = std::make_shared<const Secret>(Secret::copy_of(typed.view()));
    forget_traces();
    return auth;
}

} // namespace sshtpm::tpm
