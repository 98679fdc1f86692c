// SPDX-License-Identifier: MIT
#pragma once
// A long life in short: clients come, list, sign and go, some of them before they are answered.

#include <chrono>
#include <string>

namespace sshtpm::bench {

struct Soak {
    std::chrono::duration<double> time;
    double lists = 0, signatures = 0; ///< in that time
    std::string pub;                  ///< the file of the key to sign with
};

/// @returns a line of figures: lists, signatures, clients, and by how much it took longer.
std::string soak(const char* path, const Soak& soak);

} // namespace sshtpm::bench
