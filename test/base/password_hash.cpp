#include "base/password_hash.hpp"

#include "support/catch.hpp"

using namespace sshtpm;

TEST_CASE("a password matches its own hash, and another one does not") {
    const PasswordHash hash(bytes_of("correct horse"));
    CHECK(hash.matches(bytes_of("correct horse")));
    CHECK_FALSE(hash.matches(bytes_of("correct horsf")));
    CHECK_FALSE(hash.matches(bytes_of("correct hors")));
    CHECK_FALSE(hash.matches(bytes_of("correct horse ")));
    CHECK_FALSE(hash.matches({}));
}

TEST_CASE("a password may be empty, or hold zero bytes") {
    const PasswordHash empty{ByteView()};
    CHECK(empty.matches({}));
    CHECK_FALSE(empty.matches(bytes_of(" ")));
    constexpr std::string_view with_zero("a\0b", 3), other("a\0c", 3);
    const PasswordHash hash(bytes_of(with_zero));
    CHECK(hash.matches(bytes_of(with_zero)));
    CHECK_FALSE(hash.matches(bytes_of(other)));
    CHECK_FALSE(hash.matches(bytes_of("a")));
}
