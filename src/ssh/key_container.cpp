#include "ssh/key_container.hpp"

#include "base/error.hpp"

#include <array>

namespace sshtpm::ssh {

namespace {

/// What a file holds that is no private key that could be read, by how it begins.
struct Other {
    std::string_view start;
    Errc code;
    const char* message;
    const char* hint;
};

constexpr auto is_public = "a public key, where the private one is wanted";

constexpr std::array<Other, 6> others{{
    {"ssh-", Errc::malformed, is_public, ""},
    {"ecdsa-sha2-", Errc::malformed, is_public, ""},
    {"sk-", Errc::malformed, is_public, ""},
    {"PuTTY-User-Key-File-", Errc::unsupported, "a private key in PuTTY's format",
     "puttygen FILE -O private-openssh -o NEW"},
    {"---- BEGIN SSH2 ", Errc::unsupported, "a key in the format of SSH.com's programs",
     "convert it with ssh-keygen -i"},
    {"\x30", Errc::unsupported, "a key in DER, where PEM is wanted",
     "openssl pkey -inform DER -in FILE -out NEW"},
}};

} // namespace

OpenedKey open_private_key(const Secret& file, const Secret* passphrase) {
    if (file.size() > max_private_key_file)
        throw Error(Errc::malformed, "too large for a private key");
    const auto text = text_of(file.view());
    for (const auto& other : others)
        if (text.starts_with(other.start))
            throw Error(other.code, other.message, other.hint);
    return is_openssh_key(text) ? read_openssh_key(text, passphrase) : read_pem_key(text, passphrase);
}

} // namespace sshtpm::ssh
