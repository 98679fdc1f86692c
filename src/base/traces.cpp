#include "base/traces.hpp"

#include "base/secret.hpp"

#include <array>

namespace sshtpm {

namespace {

/// The deepest calls, OpenSSL's below those of tpm2-tss, use some 20 KiB.
constexpr std::size_t depth = std::size_t{64} * 1024;

__attribute__((noinline)) void forget_stack() noexcept {
    std::array<std::uint8_t, depth> below;
    wipe(below);
}

#if defined(__x86_64__)

/// glibc copies with the widest registers that there are: 16 to 31 where there is AVX-512.
__attribute__((noinline)) void forget_registers() noexcept {
    if (!__builtin_cpu_supports("avx")) {
        __asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\t"
                         "pxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
                         "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm8, %%xmm8\n\t"
                         "pxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
                         "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\t"
                         "pxor %%xmm15, %%xmm15"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                           "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
        return;
    }
    __asm__ volatile("vzeroall"
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    if (__builtin_cpu_supports("avx512f")) // no function keeps these over a call, and none here uses them
        __asm__ volatile("vpxorq %zmm16, %zmm16, %zmm16\n\tvpxorq %zmm17, %zmm17, %zmm17\n\t"
                         "vpxorq %zmm18, %zmm18, %zmm18\n\tvpxorq %zmm19, %zmm19, %zmm19\n\t"
                         "vpxorq %zmm20, %zmm20, %zmm20\n\tvpxorq %zmm21, %zmm21, %zmm21\n\t"
                         "vpxorq %zmm22, %zmm22, %zmm22\n\tvpxorq %zmm23, %zmm23, %zmm23\n\t"
                         "vpxorq %zmm24, %zmm24, %zmm24\n\tvpxorq %zmm25, %zmm25, %zmm25\n\t"
                         "vpxorq %zmm26, %zmm26, %zmm26\n\tvpxorq %zmm27, %zmm27, %zmm27\n\t"
                         "vpxorq %zmm28, %zmm28, %zmm28\n\tvpxorq %zmm29, %zmm29, %zmm29\n\t"
                         "vpxorq %zmm30, %zmm30, %zmm30\n\tvpxorq %zmm31, %zmm31, %zmm31");
}

#else

/// Nothing to do but let the compiler clear what a call may use.
#if defined(__has_attribute) && __has_attribute(zero_call_used_regs)
__attribute__((noinline, zero_call_used_regs("all")))
#else
__attribute__((noinline))
#endif
void forget_registers() noexcept {
    __asm__ volatile("" : : : "memory");
}

#endif

} // namespace

void forget_traces() noexcept {
    forget_stack();
    forget_registers(); // last: wiping used some
}

} // namespace sshtpm
