// SPDX-License-Identifier: MIT
#pragma once
// The type of all errors. A function that cannot go on throws one. It returns an outcome, such as a wrong
// PIN, that its caller handles.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sshtpm {

enum class Errc {
    usage,       ///< the command line or the configuration is wrong
    malformed,   ///< input that does not parse
    unsupported, ///< well-formed, but not supported by this program or this TPM
    not_found,   ///< there is no such file, key or TPM
    exists,      ///< the file, key or agent exists already
    permission,  ///< the system denies access
    io,          ///< the system could not read or write
    refused,     ///< a policy or a person said no
    auth,        ///< a PIN or password is wrong
    lockout,     ///< the TPM's dictionary-attack protection is active
    foreign_key, ///< the key belongs to another TPM
    tpm,         ///< any other failure of the TPM or its transport
};

class Error : public std::runtime_error {
  public:
    /// @param message one line without a final period
    /// @param hint a remedy that a person can try; a command of several words stands between backticks, which
    ///     keep it on one line and are not printed
    Error(Errc code, const std::string& message, std::string hint = {});

    /// @param rc the TPM's response code, without the bits that name its layer
    static Error from_tpm(Errc code, std::uint32_t rc, const std::string& message, std::string hint = {});

    /// The message is "SUBJECT: No such file or directory"; the code follows from the errno.
    static Error from_errno(int error_number, std::string_view subject);

    Errc code() const noexcept { return code_; }
    const std::string& hint() const noexcept { return hint_; }
    std::optional<std::uint32_t> tpm_rc() const noexcept { return tpm_rc_; }

    /// The same error with "subject: " in front of its message.
    Error about(std::string_view subject) const;

  private:
    Errc code_;
    std::string hint_;
    std::optional<std::uint32_t> tpm_rc_;
};

/// Runs `work`, and puts "subject: " in front of the message of an error that it throws.
template <class Work>
auto naming(std::string_view subject, Work&& work) {
    try { // caught to name the subject
        return work();
    } catch (const Error& error) {
        throw error.about(subject);
    }
}

/// Throws Error(malformed).
[[noreturn]] void malformed(const std::string& message, std::string hint = {});

/// Throws Error(refused).
[[noreturn]] void refuse(const std::string& message, std::string hint = {});

/// Throws Error(unsupported).
[[noreturn]] void unsupported(const std::string& message, std::string hint = {});

} // namespace sshtpm
