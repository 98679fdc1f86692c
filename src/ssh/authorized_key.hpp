#pragma once
// The one-line text form of a public key or certificate, as in .pub files: "type base64 comment".

#include "ssh/public_key.hpp"

#include <string>

namespace sshtpm::ssh {

inline constexpr std::size_t max_public_file = std::size_t{64} * 1024; ///< bytes of a .pub file that is read

struct AuthorizedKey {
    std::string type; ///< equals the name inside the blob
    Bytes blob;
    std::string comment; ///< may be empty

    /// Parses the first line of the text that is neither blank nor a comment ('#'); options in front of the
    /// type are not taken. The blob itself is not looked into, beyond its type name.
    /// @throws Error(malformed)
    static AuthorizedKey parse(std::string_view text);

    /// The same for a text that holds this one line and nothing else, so that `line()` can take its place.
    /// @throws Error(malformed)
    static AuthorizedKey parse_only_line(std::string_view text);

    static AuthorizedKey of(const PublicKey& key, std::string comment);

    /// The line, with its newline.
    /// @throws Error(malformed) when the comment has a CR, LF or NUL.
    std::string line() const;
};

} // namespace sshtpm::ssh
