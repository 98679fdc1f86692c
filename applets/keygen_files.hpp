// SPDX-License-Identifier: MIT
#pragma once
// The files of keygen: their names, reading and writing them.

#include "applets/keygen.hpp"
#include "base/staged_file.hpp"
#include "identity/hierarchy.hpp"
#include "identity/identity.hpp"

#include <filesystem>

namespace sshtpm::applets {

/// The names of the files of a key.
struct KeyPaths {
    std::filesystem::path key, pub;
    std::filesystem::path link = {}; ///< a symbolic link to the key file; empty: none
};

/// PATH.tpm and PATH.pub; `path` may have the ending .tpm already.
/// @throws Error(usage) for a folder, and for a name that is empty without its ending
KeyPaths paths_for(const std::string& path);

/// Checks that new files can have these names, before a person types a PIN and the TPM makes a key in vain.
/// @throws Error
void require_place(const KeyPaths& paths);

/// The files of a host key: FOLDER/ssh_tpm_host_TYPE_key.tpm and .pub.
KeyPaths host_key_paths(const std::filesystem::path& folder, const identity::HostKeyType& type);

/// Checked first, so that the TPM does not work for seconds on a host key that cannot be written.
/// @throws Error(permission | io)
void require_writable(const std::filesystem::path& folder);

/// NAME if it has a TPM key; else NAME.tpm if it exists, else NAME: an ordinary private key may have been
/// imported beside its file. "-" is standard input.
std::string key_file_named(const std::string& name);

/// True for standard input ("-"), a FIFO or a device: they can be read once, and nothing can be written back.
bool is_stream(const std::filesystem::path& file);

/// The file of an existing key: key_file_named(-f), or the same of the answer at the terminal; else
/// ~/.ssh/id_TYPE.tpm (-t), or the first that exists of ~/.ssh/id_ecdsa.tpm and
/// ~/.ssh/id_rsa.tpm.
std::filesystem::path existing_key(const KeygenOptions& options);

/// Makes ~/.ssh if the key goes there, and prints it.
void make_ssh_folder(const KeyPaths& paths, bool quiet);

/// Asks at the terminal whether existing files may be replaced; nothing if the answer is no.
/// @throws Error(exists) without a terminal
std::optional<Existing> may_write(const KeyPaths& paths);

/// The modes of a key's new files.
inline constexpr mode_t private_mode = 0600, public_mode = 0644;

/// The content of the .pub file, with the key's description as comment.
std::string public_line(const keyfile::KeyFile& key, const ssh::PublicKey& public_key);

/// True for an empty file too, which a killed program or a full disk leaves.
bool is_missing(const std::filesystem::path& file);

/// Writes the .pub file of a key if it is missing. Another run may do the same at the same time.
/// @param whose the key, for the error: "the one in FILE"
/// @returns whether it was written @throws Error(exists) if it holds another key
bool complete_public_file(const std::filesystem::path& pub, const identity::Identity& identity,
                          const std::string& whose);

/// Has the TPM make a host key from the seed of a hierarchy, and sign with it.
identity::Identity derive_host_key(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy,
                                   const identity::HostKeyType& type, const std::string& comment);

/// Puts both in place, or neither. Signals wait until then.
void put_in_place(StagedFile& private_half, StagedFile& public_half);

/// Writes the key file and the .pub file, and the link if it is not there, or none of them.
/// @param existing_pub for the .pub file; nothing: it is not written
void write_key(const KeyPaths& paths, const keyfile::KeyFile& key, const ssh::PublicKey& public_key,
               Existing existing, std::optional<Existing> existing_pub);

/// Logs it if the new key has another parent than `asked`.
void tell_parent(const keyfile::KeyFile& key, TPM2_HANDLE asked);

/// "Your identification has been saved in …", fingerprint and randomart, in ssh-keygen's words.
void show_key(const KeyPaths& paths, const identity::Identity& identity, ssh::FingerprintHash hash);

/// The key in the text of a key file. Logs it if the format is that of an old ssh-tpm-agent.
/// @throws Error naming `file`
keyfile::KeyFile parse_key(std::string_view text, const std::filesystem::path& file);

/// @throws Error naming the file if it is not a key that can sign
identity::Identity identity_of(keyfile::KeyFile key, const std::filesystem::path& file);
identity::Identity read_identity(const std::filesystem::path& file);
/// The same for a host key: a damaged file has the hint to renew it.
identity::Identity read_host_identity(const std::filesystem::path& file);

/// True for an error in the content of a host key's file, which --renew replaces.
bool is_damage(const Error& error, const std::filesystem::path& file);
/// The error of a .pub file without key file. @param command that takes --hierarchy
Error without_private_half(const KeyPaths& paths, const std::string& command);
/// "DESTDIR=ROOT ", for a command in a hint; empty for "/" and for no root.
std::string for_tree(const std::filesystem::path& root);

/// True for a text with a PEM block, false for that of a .pub file.
bool is_key_file(std::string_view text);

} // namespace sshtpm::applets
