// SPDX-License-Identifier: MIT
#include "base/secret.hpp"

#include "support/catch.hpp"

#include <cstdint>
#include <type_traits>

using sshtpm::bytes_of;
using sshtpm::ByteView;
using sshtpm::PasswordHash;
using sshtpm::same_secret;
using sshtpm::Secret;
using sshtpm::text_of;
using sshtpm::wipe;
using sshtpm::Wiped;

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

namespace {

template <class T>
concept Comparable = requires(const T& a, const T& b) { a == b; };
static_assert(!Comparable<Secret>);

} // namespace

TEST_CASE("a secret holds what is appended, up to its capacity, and nothing of what does not fit") {
    Secret secret(4);
    CHECK(secret.empty());
    CHECK(secret.append(bytes_of("ab")));
    CHECK_FALSE(secret.append(bytes_of("cde")));
    CHECK(text_of(secret.view()) == "ab");
    CHECK(secret.append(bytes_of("cd")));
    CHECK_FALSE(secret.append(bytes_of("e")));
    CHECK(text_of(secret.view()) == "abcd");
}

TEST_CASE("a secret without capacity takes nothing") {
    Secret none;
    CHECK(none.append({}));
    CHECK_FALSE(none.append(bytes_of("a")));
    CHECK(none.view().empty());
}

TEST_CASE("a shortened secret wipes what was cut") {
    Secret secret = Secret::copy_of(bytes_of("abcdef"));
    const auto* memory = secret.view().data();
    secret.truncate(2);
    CHECK(text_of(secret.view()) == "ab");
    for (std::size_t i = 2; i < 6; ++i)
        CHECK(memory[i] == 0); // within the capacity still
    secret.truncate(5);
    CHECK(secret.size() == 2);
    CHECK(secret.append(bytes_of("cdef")));
    CHECK(text_of(secret.view()) == "abcdef");
}

TEST_CASE("a secret moves, and leaves nothing behind") {
    Secret a = Secret::copy_of(bytes_of("abc"));
    const auto* memory = a.view().data();
    Secret b(std::move(a));
    CHECK(text_of(b.view()) == "abc");
    CHECK(b.view().data() == memory);
    // NOLINTBEGIN(bugprone-use-after-move,clang-analyzer-cplusplus.Move): what is left is the matter here
    CHECK(a.empty());
    CHECK_FALSE(a.append(bytes_of("x")));
    // NOLINTEND(bugprone-use-after-move,clang-analyzer-cplusplus.Move)

    Secret c = Secret::copy_of(bytes_of("other"));
    c = std::move(b);
    CHECK(text_of(c.view()) == "abc");
    auto& same = c;
    c = std::move(same);
    CHECK(text_of(c.view()) == "abc");
}

TEST_CASE("secrets are the same by content and length") {
    const auto secret = [](std::string_view text) { return Secret::copy_of(bytes_of(text)); };
    CHECK(same_secret(secret("abc"), secret("abc")));
    CHECK(same_secret(secret(""), Secret()));
    CHECK_FALSE(same_secret(secret("abc"), secret("abd")));
    CHECK_FALSE(same_secret(secret("abc"), secret("ab")));
    CHECK_FALSE(same_secret(secret(""), secret("a")));
}

TEST_CASE("wiped text is empty") {
    std::string text = "a text too long for the buffer within the string object itself";
    const auto* memory = text.data();
    const auto length = text.size();
    wipe(text);
    CHECK(text.empty());
    CHECK(text.capacity() >= length); // the memory is still the string's, so it may be looked at
    CHECK(memory[0] == '\0');
}

TEST_CASE("a wiped struct starts as zeros and ends as zeros") {
    struct Pin {
        std::uint8_t digits[4];
    };
    alignas(Wiped<Pin>) std::uint8_t memory[sizeof(Wiped<Pin>)];
    auto* pin = new (memory) Wiped<Pin>(Pin{{1, 2, 3, 4}});
    CHECK((*pin)->digits[3] == 4);
    CHECK(memory[3] == 4);
    pin->~Wiped();
    CHECK(memory[0] == 0);
    CHECK(memory[3] == 0);
    CHECK(Wiped<Pin>()->digits[0] == 0);
}

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
