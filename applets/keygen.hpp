#pragma once
// What the modes of keygen share: the options, as they were given.

#include "base/secret.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/target.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace sshtpm::applets {

struct KeygenOptions {
    std::string type = "ecdsa";                               ///< -t
    std::optional<unsigned> bits;                             ///< -b
    std::optional<std::string> file;                          ///< -f
    std::optional<std::string> comment;                       ///< -C
    std::optional<Secret> pin;                                ///< -N
    bool quiet = false;                                       ///< -q
    bool randomart = false;                                   ///< -v
    ssh::FingerprintHash hash = ssh::FingerprintHash::sha256; ///< -E
    std::function<tpm::Target()> target;                      ///< asked for only by modes that need a TPM
};

/// Makes a key and writes PATH.tpm and PATH.pub. @returns the exit status.
int keygen_create(const KeygenOptions& options);
/// -l
int keygen_fingerprint(const KeygenOptions& options);
/// -y
int keygen_print_public(const KeygenOptions& options);

/// The comment and public key of a .tpm file. @throws Error
struct PublicHalf {
    Bytes blob;
    std::string comment;
};
PublicHalf read_public_half(const std::filesystem::path& file);

/// ~ of the default: where -f does not say. For modes that read an existing key.
std::filesystem::path key_file_of(const KeygenOptions& options);

} // namespace sshtpm::applets
