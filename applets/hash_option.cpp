#include "applets/hash_option.hpp"

#include "base/error.hpp"

namespace sshtpm::applets {

ssh::FingerprintHash parse_hash(std::string_view word) {
    if (const auto hash = ssh::fingerprint_hash_named(word))
        return *hash;
    throw Error(Errc::usage, "-E " + std::string(word) + ": unknown hash", "sha256 or md5");
}

} // namespace sshtpm::applets
