// SPDX-License-Identifier: MIT
#pragma once
// What most tests need.

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"
#include "support/hex.hpp"
#include "support/refusal.hpp"
#include "support/temp_folder.hpp"
