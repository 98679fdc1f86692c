// SPDX-License-Identifier: MIT
#include "base/error.hpp"

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace sshtpm {

namespace {

Errc code_of(int error_number) {
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
    case ENXIO:
        return Errc::not_found;
    case EACCES:
    case EPERM:
        return Errc::permission;
    case EEXIST:
        return Errc::exists;
    default:
        return Errc::io;
    }
}

} // namespace

Error::Error(Errc code, const std::string& message, std::string hint)
    : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

Error Error::from_tpm(Errc code, std::uint32_t rc, const std::string& message, std::string hint) {
    Error error(code, message, std::move(hint));
    error.tpm_rc_ = rc;
    return error;
}

Error Error::from_errno(int error_number, std::string_view subject) {
    return {code_of(error_number),
            std::string(subject) + ": " + std::system_category().message(error_number)};
}

Error Error::about(std::string_view subject) const {
    Error error(code_, std::string(subject) + ": " + what(), hint_);
    error.tpm_rc_ = tpm_rc_;
    return error;
}

void malformed(const std::string& message, std::string hint) {
    throw Error(Errc::malformed, message, std::move(hint));
}

void refuse(const std::string& message, std::string hint) {
    throw Error(Errc::refused, message, std::move(hint));
}

void unsupported(const std::string& message, std::string hint) {
    throw Error(Errc::unsupported, message, std::move(hint));
}

} // namespace sshtpm
