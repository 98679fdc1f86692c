// SPDX-License-Identifier: MIT
#pragma once
// The options of ssh-tpm-add, the function of each mode, and their helpers.

#include "base/error.hpp"
#include "protocol/client.hpp"
#include "ssh/fingerprint.hpp"

#include <chrono>
#include <functional>

namespace sshtpm::applets {

struct AddOptions {
    std::vector<std::string> files;                           ///< operands
    std::chrono::seconds lifetime{};                          ///< -t; 0: none
    bool confirm = false;                                     ///< -c
    bool pin = false;                                         ///< --pin
    std::optional<std::string> pin_file;                      ///< --pin-file
    bool key_only = false;                                    ///< -k
    bool certificate_only = false;                            ///< -C
    bool expired = false;                                     ///< -N: adds expired certificates too
    bool quiet = false;                                       ///< -q
    ssh::FingerprintHash hash = ssh::FingerprintHash::sha256; ///< -E
    std::vector<std::string> destinations;                    ///< -h, in their order
    std::vector<std::string> host_key_files;                  ///< -H
};

// Each @returns the exit status.
int add_keys(protocol::Client& agent, const AddOptions& options);
int add_remove(protocol::Client& agent, const AddOptions& options);       ///< -d
int add_remove_all(protocol::Client& agent, const AddOptions& options);   ///< -D
int add_fingerprints(protocol::Client& agent, const AddOptions& options); ///< -l
int add_public_keys(protocol::Client& agent, const AddOptions& options);  ///< -L
int add_query(protocol::Client& agent, const AddOptions& options);        ///< -Q
int add_lock(protocol::Client& agent, const AddOptions& options);         ///< -x
int add_unlock(protocol::Client& agent, const AddOptions& options);       ///< -X
int add_test(protocol::Client& agent, const AddOptions& options);         ///< -T

/// Whether a key is among those of an agent.
bool listed(const std::vector<protocol::AgentKey>& keys, ByteView blob);

/// Prints an error. @returns 1
int add_failure(const Error& error);

/// Calls `act` with each file, and goes on after a failure: an Error, which is printed, or false.
/// @returns the exit status
int each_file(const std::vector<std::string>& files, const std::function<bool(const std::string& file)>& act);

/// -h: where a key may be used, in the syntax of ssh-add(1).
/// @param destinations each "[user@]host" or "from>[user@]host"; hosts as known_hosts files name them
/// @param host_key_files known_hosts files, "~/" for the home folder; none for the usual ones. Missing files
///     are ignored.
/// @throws Error(usage) for another syntax, Error(not_found) for a host without a known key
std::vector<protocol::DestinationConstraint>
read_destinations(const std::vector<std::string>& destinations,
                  const std::vector<std::string>& host_key_files);

} // namespace sshtpm::applets
