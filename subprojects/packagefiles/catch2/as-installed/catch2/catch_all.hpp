// SPDX-License-Identifier: MIT
#include <catch_amalgamated.hpp>
