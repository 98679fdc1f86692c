#pragma once
// One program has all fuzz targets; a target is a function with a name, which registers itself.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>

namespace fuzz {

/// Aborts when the input is wrongly accepted or refused; returns otherwise.
using Target = void (*)(const std::uint8_t* data, std::size_t size);

inline std::map<std::string_view, Target>& targets() {
    static std::map<std::string_view, Target> all;
    return all;
}

inline void require(bool holds) {
    if (!holds)
        std::abort();
}

} // namespace fuzz

using fuzz::require;

/// FUZZ_TARGET(name) { … uses data and size … }
#define FUZZ_TARGET(name)                                                                                    \
    static void fuzz_##name(const std::uint8_t* data, std::size_t size);                                     \
    static const bool fuzz_##name##_registered = fuzz::targets().emplace(#name, fuzz_##name).second;         \
    static void fuzz_##name([[maybe_unused]] const std::uint8_t* data, [[maybe_unused]] std::size_t size)
