#include "base/traces.hpp"

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <cstring>

using namespace sshtpm;

namespace {

constexpr std::size_t depth = std::size_t{32} * 1024;
constexpr std::array<unsigned char, 32> mark = {0x5a, 0xc3, 0x96, 0x17, 0x28, 0xd1, 0x4f, 0xe0};

std::uintptr_t left_at = 0;

/// Leaves marks in a frame and in the vector registers.
__attribute__((noinline)) void leave_marks() {
    std::array<unsigned char, depth> frame;
    for (std::size_t i = 0; i < frame.size(); i += mark.size())
        std::memcpy(&frame.at(i), mark.data(), mark.size());
    left_at = reinterpret_cast<std::uintptr_t>(frame.data());
    __asm__ volatile("" : : "r"(frame.data()) : "memory");
#if defined(__x86_64__)
    __asm__ volatile("movups (%0), %%xmm5\n\tmovups (%0), %%xmm15" : : "r"(mark.data()) : "xmm5", "xmm15");
#endif
}

/// How often the first byte of the mark lies in what the frame was. No call on the way, which would use it.
__attribute__((noinline, no_sanitize("address"))) std::size_t marks_left() {
    const auto* frame = reinterpret_cast<const volatile unsigned char*>(left_at);
    std::size_t count = 0;
    for (std::size_t i = 0; i + 1024 < depth; i += mark.size()) // the top is this function's own
        count += frame[i] == 0x5a && frame[i + 1] == 0xc3;
    return count;
}

#if defined(__x86_64__)
struct Registers {
    std::array<unsigned char, 16> five, fifteen;
};

__attribute__((noinline)) void read_registers(Registers& found) {
    __asm__ volatile("movups %%xmm5, (%0)\n\tmovups %%xmm15, (%1)"
                     :
                     : "r"(found.five.data()), "r"(found.fifteen.data())
                     : "memory");
}
#endif

} // namespace

TEST_CASE("what a function left on the stack is there, until its traces are forgotten") {
    leave_marks();
    const auto before = marks_left();
    leave_marks();
    forget_traces();
    const auto after = marks_left();
    CHECK(before > depth / mark.size() / 2);
    CHECK(after == 0);
}

#if defined(__x86_64__)
TEST_CASE("what a function left in the vector registers is there, until its traces are forgotten") {
    Registers before{}, after{};
    leave_marks();
    read_registers(before);
    leave_marks();
    forget_traces();
    read_registers(after);
    CHECK(std::memcmp(before.five.data(), mark.data(), 16) == 0);
    CHECK(std::memcmp(before.fifteen.data(), mark.data(), 16) == 0);
    constexpr std::array<unsigned char, 16> zeros{};
    CHECK(after.five == zeros);
    CHECK(after.fifteen == zeros);
}
#endif
