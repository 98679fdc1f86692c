// SPDX-License-Identifier: MIT
#pragma once
// Catch2, whether it is v2 (one header, as in Debian 12) or v3: tests include this file and no other of it.

#include <string>

#if __has_include(<catch2/catch_all.hpp>)

#include <catch2/catch_all.hpp>

namespace support {
inline auto contains(const std::string& part) {
    return Catch::Matchers::ContainsSubstring(part);
}
} // namespace support

#else

#include <catch2/catch.hpp>

namespace support {
inline auto contains(const std::string& part) {
    return Catch::Matchers::Contains(part);
}
} // namespace support

#endif
