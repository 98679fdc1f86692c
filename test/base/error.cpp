// SPDX-License-Identifier: MIT
#include "base/error.hpp"

#include "support/catch.hpp"

#include <cerrno>

using namespace sshtpm;

TEST_CASE("error numbers of the system become codes") {
    CHECK(Error::from_errno(ENOENT, "x").code() == Errc::not_found);
    CHECK(Error::from_errno(ENOTDIR, "x").code() == Errc::not_found);
    CHECK(Error::from_errno(EACCES, "x").code() == Errc::permission);
    CHECK(Error::from_errno(EPERM, "x").code() == Errc::permission);
    CHECK(Error::from_errno(EEXIST, "x").code() == Errc::exists);
    CHECK(Error::from_errno(ELOOP, "x").code() == Errc::io);
    CHECK(Error::from_errno(ENOENT, "some/file").what() ==
          std::string("some/file: No such file or directory"));
}

TEST_CASE("an error told again names its subject and loses nothing") {
    const auto error = Error::from_tpm(Errc::tpm, 0x101, "the TPM failed", "restart it").about("key.tpm");
    CHECK_FALSE(Error(Errc::usage, "m").tpm_rc());
    CHECK(error.what() == std::string("key.tpm: the TPM failed"));
    CHECK(error.code() == Errc::tpm);
    CHECK(error.hint() == "restart it");
    CHECK(error.tpm_rc() == 0x101U);
}
