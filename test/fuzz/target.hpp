// SPDX-License-Identifier: MIT
#pragma once
// One program has all fuzz targets; a target is a function with a name, which registers itself.

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
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

/// The result of a parser, or nothing if it throws an Error.
template <class Parser, class... Input>
std::optional<std::invoke_result_t<Parser&, Input&...>> taken(Parser&& parser, Input&&... input) {
    try {
        return std::invoke(parser, input...);
    } catch (const sshtpm::Error&) {
        return std::nullopt;
    }
}

/// Does something that may throw an Error.
template <class Action>
void attempt(Action&& action) {
    try {
        action();
    } catch (const sshtpm::Error&) { // an input may be refused
    }
}

} // namespace fuzz

using fuzz::attempt;
using fuzz::require;
using fuzz::taken;

/// FUZZ_TARGET(name) { … uses data and size … }
#define FUZZ_TARGET(name)                                                                                    \
    static void fuzz_##name(const std::uint8_t* data, std::size_t size);                                     \
    static const bool fuzz_##name##_registered = fuzz::targets().emplace(#name, fuzz_##name).second;         \
    static void fuzz_##name([[maybe_unused]] const std::uint8_t* data, [[maybe_unused]] std::size_t size)
