// SPDX-License-Identifier: MIT
#pragma once
// The applets' name for base/shell_word.

#include "base/shell_word.hpp"

namespace sshtpm::cli {

using sshtpm::Shell;
using sshtpm::shell_word;

} // namespace sshtpm::cli
