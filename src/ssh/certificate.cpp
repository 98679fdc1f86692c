#include "ssh/certificate.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "ssh/key_blob.hpp"

namespace sshtpm::ssh {

Certificate Certificate::from_blob(ByteView blob) {
    const auto name = wire::Reader(blob).text();
    if (!key_type_of_certificate(name))
        throw Error(Errc::unsupported,
                    "a certificate of type \"" + printable(name, 64) + "\" cannot be used here");
    const auto parsed = read_certificate(blob);
    const auto& terms = parsed.terms;
    return {.blob = copy_of(blob),
            .public_key = PublicKey::from_blob(parsed.plain_blob),
            .serial = terms.serial,
            .role = static_cast<Role>(terms.role),
            .key_id = std::string(terms.key_id),
            .principals = {terms.principals.begin(), terms.principals.end()},
            .valid_after = terms.valid_after,
            .valid_before = terms.valid_before,
            .signature_key = copy_of(terms.signature_key)};
}

} // namespace sshtpm::ssh
