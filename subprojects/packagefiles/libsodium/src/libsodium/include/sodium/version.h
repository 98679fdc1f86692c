// SPDX-License-Identifier: MIT
#pragma once
// In place of the header that upstream's configure makes from version.h.in.

#define SODIUM_VERSION_STRING "1.0.22"
#define SODIUM_LIBRARY_VERSION_MAJOR 26
#define SODIUM_LIBRARY_VERSION_MINOR 4
