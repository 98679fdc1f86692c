// SPDX-License-Identifier: MIT
#pragma once
// The files of ssh-tpm-add: finds them by their names on the command line, and reads them.

#include "applets/add.hpp"
#include "identity/identity.hpp"

#include <vector>

namespace sshtpm::applets {

struct KeyToAdd {
    identity::Identity identity;            ///< without a certificate
    std::string text;                       ///< the key file that is sent, with a comment
    std::string shown;                      ///< the file's name, or "(stdin)"
    std::filesystem::path certificate_file; ///< it may not exist; empty for standard input
};

/// @param name a key file with or without its ending ".tpm"; "-" is standard input. If NAME and NAME.tpm
///     exist, NAME.tpm is read: NAME may be an ordinary key that was imported.
/// @throws Error naming the file; with a hint for an ordinary private key
KeyToAdd read_key_to_add(const std::string& name);

/// A public key or a certificate to find in the agent.
struct PublicHalf {
    Bytes blob;
    std::string comment;                    ///< may be empty
    std::string shown;                      ///< the name of its file
    std::filesystem::path certificate_file; ///< empty if this is a certificate
};

/// @param name a file with a public key, or a name of its key file, which does not have to exist then
/// @throws Error naming the file
PublicHalf read_public_half(const std::string& name);

/// A certificate or a public key in one line. Nothing if the file is missing.
/// @throws Error naming the file
std::optional<PublicHalf> read_public_file(const std::filesystem::path& file);

/// Finds ~/.ssh/id_ecdsa.tpm and ~/.ssh/id_rsa.tpm, one or both.
/// @param public_too the .pub file if there is no .tpm file
/// @throws Error(not_found) if there is none
std::vector<std::string> default_files(bool public_too);

} // namespace sshtpm::applets
