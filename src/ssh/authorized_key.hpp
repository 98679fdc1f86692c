#pragma once
// A public key or certificate in one line of text, as in .pub files: "type base64 comment".

#include "ssh/public_key.hpp"

#include <string>

namespace sshtpm::ssh {

inline constexpr std::size_t max_public_file = std::size_t{64} * 1024; ///< bytes of a .pub file that is read

struct AuthorizedKey {
    std::string type; ///< equals the name inside the blob
    Bytes blob;
    std::string comment; ///< may be empty

    /// Parses the first line of the text that is neither blank nor a comment ('#'). It refuses options in
    /// front of the type. Of the blob it checks the name of the type only.
    /// @throws Error(malformed)
    static AuthorizedKey parse(std::string_view text);

    /// The same for a text that holds no other line, so that `line()` can replace it.
    /// @throws Error(malformed)
    static AuthorizedKey parse_only_line(std::string_view text);

    static AuthorizedKey of(const PublicKey& key, std::string comment);

    /// With its newline.
    /// @throws Error(malformed) when the comment has a CR, LF or NUL.
    std::string line() const;
};

} // namespace sshtpm::ssh
