// SPDX-License-Identifier: MIT
// Boost.JSON without its library: only headers of Boost are needed.
#include <boost/json/src.hpp>
