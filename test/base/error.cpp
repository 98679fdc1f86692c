#include "base/error.hpp"

#include "support/catch.hpp"

#include <cerrno>

using namespace sshtpm;

TEST_CASE("an error has a code, a message and perhaps a hint") {
    const Error error(Errc::lockout, "the TPM is locked out", "wait");
    CHECK(error.code() == Errc::lockout);
    CHECK(error.what() == std::string("the TPM is locked out"));
    CHECK(error.hint() == "wait");
    CHECK_FALSE(error.tpm_rc());
    CHECK(Error(Errc::usage, "m").hint().empty());
}

TEST_CASE("an error can carry a response code of the TPM") {
    const auto error = Error::from_tpm(Errc::auth, 0x08e, "the PIN is wrong", "try again");
    CHECK(error.code() == Errc::auth);
    CHECK(error.tpm_rc() == 0x08eU);
    CHECK(error.what() == std::string("the PIN is wrong"));
    CHECK(error.hint() == "try again");
}

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
    CHECK(error.what() == std::string("key.tpm: the TPM failed"));
    CHECK(error.code() == Errc::tpm);
    CHECK(error.hint() == "restart it");
    CHECK(error.tpm_rc() == 0x101U);
}
