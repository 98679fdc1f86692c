// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

// What was freed is looked at: valid only with glibc, which keeps the pages of small pieces and writes its
// own links into the first 16 bytes of them. Compiled in only where zeroing_free.cpp is in force.

namespace {

constexpr std::size_t links = 16;
constexpr std::size_t rounding = 24; ///< between a piece and the links of what was cut off: random bytes, too

/// An address whose origin the compiler does not know: it would warn of what is looked at after free().
__attribute__((noinline)) std::uintptr_t place_of(const void* memory) {
    auto place = reinterpret_cast<std::uintptr_t>(memory);
    __asm__ volatile("" : "+r"(place) : : "memory");
    return place;
}

/// A piece of heap full of 0xa5.
std::uintptr_t filled(std::size_t size) {
    void* const memory = std::malloc(size);
    std::memset(memory, 0xa5, size);
    return place_of(memory);
}

__attribute__((noinline)) void free_at(std::uintptr_t place) {
    std::free(reinterpret_cast<void*>(place));
}

__attribute__((noinline)) std::uintptr_t resized(std::uintptr_t place, std::size_t size) {
    return place_of(std::realloc(reinterpret_cast<void*>(place), size));
}

std::size_t marks(std::uintptr_t place, std::size_t from, std::size_t to) {
    const auto* memory = reinterpret_cast<const volatile unsigned char*>(place);
    std::size_t count = 0;
    for (std::size_t i = from; i < to; ++i)
        count += memory[i] == 0xa5;
    return count;
}

} // namespace

TEST_CASE("freed memory is zeroed") {
    for (const std::size_t size : {24U, 100U, 1000U, 10000U}) {
        const auto memory = filled(size);
        const auto kept = filled(64); // so that the piece is not merged with the rest of the heap
        const auto before = marks(memory, 0, size);
        free_at(memory);
        const auto after = marks(memory, links, size);
        CHECK(before == size);
        CHECK(after == 0);
        free_at(kept);
    }
}

TEST_CASE("memory that realloc moves away from is zeroed") {
    const auto memory = filled(100);
    const auto kept = filled(64); // it cannot grow in place
    const auto moved = resized(memory, 5000);
    const auto after = marks(memory, links, 100);
    REQUIRE(moved != 0);
    REQUIRE(moved != memory);
    CHECK(after == 0);
    CHECK(marks(moved, 0, 100) == 100);
    free_at(moved);
    free_at(kept);
}

TEST_CASE("what realloc cuts off is zeroed and the rest is kept") {
    for (const std::size_t size : {40U, 900U, 960U}) {
        const auto memory = filled(1000);
        const auto cut = resized(memory, size);
        const auto after = marks(memory, size + rounding + links, 1000);
        REQUIRE(cut != 0);
        CHECK(after == 0);
        CHECK(marks(cut, 0, size) == size);
        free_at(cut);
    }
}

TEST_CASE("the odd cases are as the C library has them") {
    free_at(0);
    const auto made = resized(0, 10);
    REQUIRE(made != 0);
    CHECK(resized(made, 0) == 0);
    const auto memory = filled(10);
    errno = EBUSY;
    free_at(memory);
    const auto kept = errno;
    CHECK(kept == EBUSY);
    const auto stays = filled(10);
    errno = 0;
    const auto refused = resized(stays, std::size_t{1} << 62);
    const auto why = errno;
    CHECK(refused == 0);
    CHECK(why == ENOMEM);
    CHECK(marks(stays, 0, 10) == 10);
    free_at(stays);
    void* const aligned = std::aligned_alloc(4096, 8192);
    std::memset(aligned, 1, 8192);
    free_at(place_of(aligned));
    constexpr std::size_t mapped = std::size_t{8} << 20; // more than the heap gives
    const auto larger = resized(filled(mapped), mapped + mapped / 8);
    CHECK(marks(larger, 0, mapped) == mapped);
    free_at(larger);
}

TEST_CASE("what C++ frees is zeroed as well") {
    std::uintptr_t place = 0;
    {
        const std::string text(200, '\xa5');
        place = place_of(text.data());
    }
    const auto after = marks(place, links, 200);
    CHECK(after == 0);
}
