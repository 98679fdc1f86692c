#pragma once
// Text from a file or from standard input ("-").

#include "base/bytes.hpp"

#include <filesystem>

namespace sshtpm::applets {

/// At most 64 KiB. @throws Error
Bytes read_text(const std::filesystem::path& file);

} // namespace sshtpm::applets
