// SPDX-License-Identifier: MIT
#pragma once
// A public key or certificate in one line of text, as in .pub files: "type base64 comment".

#include "ssh/public_key.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::ssh {

inline constexpr std::size_t max_public_file = std::size_t{64} * 1024; ///< bytes of a .pub file that is read

struct AuthorizedKey {
    std::string type; ///< equals the name inside the blob
    Bytes blob;
    std::string comment; ///< may be empty

    /// Parses the first line of the text that is neither blank nor a comment ('#'). Skips a byte order mark;
    /// refuses options in front of the type. Checks only the name of the type in the blob.
    /// @throws Error(malformed)
    static AuthorizedKey parse(std::string_view text);

    /// Parses a .pub file. @throws Error(malformed), which does not name the file; Error as read_file does
    static AuthorizedKey read(const std::filesystem::path& file);

    /// Parses a text that has no other line, so that `line()` can replace the whole text.
    /// @throws Error(malformed)
    static AuthorizedKey parse_only_line(std::string_view text);

    static AuthorizedKey of(const PublicKey& key, std::string comment);

    // With its newline, and without. @throws Error(malformed) if the comment has a CR, LF or NUL
    std::string line() const { return text() + '\n'; }
    std::string text() const;
};

/// A key in a list, and its comment as ssh-keygen -l shows it.
struct ListedKey {
    AuthorizedKey key;
    std::string shown; ///< the comment; without one, or behind '#', the word in front of the key
};

/// The keys in the lines of a .pub, authorized_keys or known_hosts file. As in ssh-keygen, one word may come
/// first, of hosts or options, and lines with a marker (@) or with a key of an unknown type are skipped.
std::vector<ListedKey> find_keys(std::string_view text);

} // namespace sshtpm::ssh
