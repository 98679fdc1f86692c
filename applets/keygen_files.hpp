#pragma once
// The files of keygen: which ones an option means, reading and writing them.

#include "applets/keygen.hpp"
#include "base/staged_file.hpp"
#include "identity/identity.hpp"

#include <filesystem>

namespace sshtpm::applets {

/// The names of the two files of a key.
struct KeyPaths {
    std::filesystem::path key, pub;
};

/// PATH.tpm and PATH.pub; a .tpm that is there already is not doubled. @throws Error(usage)
KeyPaths paths_for(std::string path);

/// The file that a mode for existing keys works on: -f, with ".tpm" behind it where only that exists; asked
/// for at the terminal; else ~/.ssh/id_TYPE.tpm (-t), or the first of id_ecdsa.tpm and id_rsa.tpm there.
std::filesystem::path existing_key(const KeygenOptions& options);

/// Makes ~/.ssh when the key is to be in it, and says so.
void make_ssh_folder(const KeyPaths& paths, bool quiet);

/// What may happen to the files that are there; nothing when a person at the terminal says no.
/// @throws Error(exists) when there is no terminal.
std::optional<Existing> may_write(const KeyPaths& paths);

/// The modes of a key's new files.
inline constexpr mode_t private_mode = 0600, public_mode = 0644;

/// The content of the .pub file, with the key's description as its comment.
std::string public_line(const keyfile::KeyFile& key, const ssh::PublicKey& public_key);

/// Writes the private half and the public half, or neither.
/// @param existing_pub what may happen to a .pub file that is there; nothing: none is written.
void write_key(const KeyPaths& paths, const keyfile::KeyFile& key, const ssh::PublicKey& public_key,
               Existing existing, std::optional<Existing> existing_pub);

/// A word on stderr when the new key's file names another parent than was asked for.
void tell_parent(const keyfile::KeyFile& key, TPM2_HANDLE asked);

/// "Your identification has been saved in …", fingerprint and randomart, in ssh-keygen's words.
void show_key(const KeyPaths& paths, const identity::Identity& identity, ssh::FingerprintHash hash);

/// The text of a key file, with a word on stderr when it is of a format that has had its day.
/// @throws Error naming `file`
keyfile::KeyFile parse_key(std::string_view text, const std::filesystem::path& file);

/// A key that can sign. @throws Error naming the file
identity::Identity identity_of(keyfile::KeyFile key, const std::filesystem::path& file);
identity::Identity read_identity(const std::filesystem::path& file);

/// True for the text of a file with a PEM block, false for that of a .pub file.
bool is_key_file(std::string_view text);

/// The text of a file, or of standard input ("-"), of at most 64 KiB. @throws Error
Bytes read_text(const std::filesystem::path& file);

} // namespace sshtpm::applets
