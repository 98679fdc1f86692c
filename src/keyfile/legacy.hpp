#pragma once

#include "keyfile/key_file.hpp"

namespace sshtpm::keyfile {

/// True when the first PEM block of the text is a "TPM EC PRIVATE KEY" (0.1) or "TPM PRIVATE KEY" (0.2).
bool is_legacy(std::string_view text);

} // namespace sshtpm::keyfile
