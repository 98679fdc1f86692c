#pragma once
// The files of ssh-tpm-add: what a name on the command line means, and reading it.

#include "applets/add.hpp"
#include "identity/identity.hpp"

#include <vector>

namespace sshtpm::applets {

struct KeyToAdd {
    identity::Identity identity;            ///< without a certificate
    std::string text;                       ///< the key file for the agent, with a comment
    std::string shown;                      ///< the file's name, or "(stdin)"
    std::filesystem::path certificate_file; ///< whether it is there or not; empty for standard input
};

/// @param name a key file with or without its ending ".tpm"; "-" is standard input. The file that has the
///     ending goes before the one without: that one may be an ordinary key that was imported.
/// @throws Error naming the file; with a hint for an ordinary private key.
KeyToAdd read_key_to_add(const std::string& name);

/// A key or a certificate to look for in the agent.
struct PublicHalf {
    Bytes blob;
    std::string comment;                    ///< may be empty
    std::string shown;                      ///< the file that it is from
    std::filesystem::path certificate_file; ///< empty when this is a certificate
};

/// @param name a file with a public key, or one of the names that its key file goes by: the .pub file is
///     enough. @throws Error naming the file
PublicHalf read_public_half(const std::string& name);

/// A certificate or a public key in its one-line form. Nothing when the file is not there.
/// @throws Error naming the file
std::optional<PublicHalf> read_public_file(const std::filesystem::path& file);

/// ~/.ssh/id_ecdsa.tpm and ~/.ssh/id_rsa.tpm, as far as they are there.
/// @param public_too a .pub file without a .tpm file counts.
/// @throws Error(not_found) when there is none.
std::vector<std::string> default_files(bool public_too);

} // namespace sshtpm::applets
