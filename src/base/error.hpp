#pragma once
// The one error type. Thrown for what a function cannot go on with; what a caller branches on is a
// return value instead.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sshtpm {

enum class Errc {
    usage,       ///< the command line or the configuration is wrong
    malformed,   ///< input that does not parse
    unsupported, ///< well-formed, but nothing this program or this TPM can use
    not_found,   ///< a file, a key, a TPM that is not there
    exists,      ///< something is there already and must not be replaced
    permission,  ///< the system refuses access
    io,          ///< the system failed at reading or writing
    refused,     ///< policy, or a person, says no
    auth,        ///< a PIN or password is wrong
    lockout,     ///< the TPM's dictionary-attack protection is active
    foreign_key, ///< the key belongs to another TPM
    tpm,         ///< any other failure of the TPM or its transport
};

class Error final : public std::runtime_error {
  public:
    /// `message` is one line without a final period; `hint` says what a person can do about it.
    Error(Errc code, const std::string& message, std::string hint = {});

    /// An error that a TPM response code, with its layer bits removed, stands behind.
    static Error from_tpm(Errc code, std::uint32_t rc, const std::string& message, std::string hint = {});

    /// An error from `errno`: "subject: No such file or directory".
    static Error from_errno(int error_number, std::string_view subject);

    Errc code() const noexcept { return code_; }
    const std::string& hint() const noexcept { return hint_; }
    std::optional<std::uint32_t> tpm_rc() const noexcept { return tpm_rc_; }

    /// The same error, its message behind "subject: ".
    Error about(std::string_view subject) const;

  private:
    Errc code_;
    std::string hint_;
    std::optional<std::uint32_t> tpm_rc_;
};

/// Runs `work`; an error that it throws gets "subject: " in front of its message.
template <class Work>
auto naming(std::string_view subject, Work&& work) {
    try { // caught to say what it was about
        return work();
    } catch (const Error& error) {
        throw error.about(subject);
    }
}

/// Throws Error(malformed).
[[noreturn]] void malformed(const std::string& message, std::string hint = {});

/// Throws Error(unsupported).
[[noreturn]] void unsupported(const std::string& message, std::string hint = {});

} // namespace sshtpm
